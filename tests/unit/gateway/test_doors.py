"""The same bad bodies at every door: refused early and clearly, and nothing accepted is harmed."""

import gzip
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.ports import Stores
from cluster.settings import Limits
from tests.memory import peak_memory
from tests.unit.gateway.doors import DOORS, Door, DoorName, Kept, begun_upload, knock
from tests.unit.gateway.lines import add_line
from tests.unit.gateway.world import World
from tests.unit.ingest.bombs import png_of_pixels

MIB = 2**20
LIMITS = Limits(request_bytes_max=MIB, upload_bytes_max=32 * MIB, upload_part_bytes=MIB)
JSON_DOORS = [name for name, door in DOORS.items() if not door.takes_files]
TEN_GB = 10 * 10**9

every_door = pytest.mark.parametrize("name", DOORS)


@pytest.fixture
def world(stores: Stores, tmp_path: Path) -> Iterator[World]:
    """A gateway with bounds wide enough to tell whether memory grows with a body."""
    with World.of(stores, tmp_path, LIMITS) as opened:
        add_line(opened, "texts", "text", "fake")
        add_line(opened, "images", "image", "resnet")
        yield opened


class Endless:
    """A body of one line of ten gigabytes, of which only what is asked for is ever made."""

    def __init__(self, door: Door) -> None:
        self._begins, self.sent = door.begins, 0

    def __iter__(self) -> Iterator[bytes]:
        yield self._begins
        block = b"x" * (256 * 1024)
        while self.sent < TEN_GB:
            self.sent += len(block)
            yield block


@every_door
def test_a_line_of_ten_gigabytes_is_refused_early_in_little_memory(
    world: World, name: DoorName
) -> None:
    # Given what was accepted before, and a client that would send ten gigabytes without a break
    door, kept = DOORS[name], Kept.by(world)
    upload_id = begun_upload(world, door, LIMITS.upload_bytes_max)
    body = Endless(door)
    # When it begins to
    with peak_memory() as peak:
        reply = knock(world, door, body, upload_id=upload_id)
    # Then it is stopped at the limit, told which, and no more was held than a few parts
    limit = LIMITS.upload_bytes_max if door.takes_files else LIMITS.request_bytes_max
    assert (reply.status, f"the limit is {limit:,}" in reply.body) == (413, True), reply
    assert body.sent <= limit + MIB
    assert peak.bytes < 20 * MIB
    kept.check(world)


@every_door
def test_a_promise_of_ten_gigabytes_is_refused_before_a_byte_is_read(
    world: World, name: DoorName
) -> None:
    door = DOORS[name]
    upload_id, body = begun_upload(world, door, MIB), Endless(door)
    reply = knock(world, door, body, upload_id=upload_id, Content_Length=str(TEN_GB))
    assert (reply.status, f"{TEN_GB:,} bytes" in reply.body) == (413, True), reply
    assert body.sent == 0


@pytest.mark.parametrize("claimed", [5, 500], ids=["less", "more"])
@every_door
def test_a_length_that_is_not_kept_is_refused(world: World, name: DoorName, claimed: int) -> None:
    # Given a body of another length than its header says
    door, kept = DOORS[name], Kept.by(world)
    upload_id = begun_upload(world, door, 600)
    # When it comes
    content = door.begins.ljust(100, b" ")
    blocks = (content[:50], content[50:])
    reply = knock(world, door, blocks, upload_id=upload_id, Content_Length=str(claimed))
    # Then it is told what was promised and what came, and what was accepted is as it was
    promised = f"Content-Length promised {claimed} bytes, 100 arrived"
    assert (reply.status, promised in reply.body) == (400, True), reply
    kept.check(world)


@every_door
def test_a_body_that_breaks_off_is_no_body(world: World, name: DoorName) -> None:
    door, kept = DOORS[name], Kept.by(world)
    upload_id = begun_upload(world, door, 600)
    reply = knock(world, door, [door.begins], ends=False, upload_id=upload_id)
    assert (reply.status, "closed before" in reply.body) == (400, True), reply
    kept.check(world)


@pytest.mark.parametrize(
    "name", [name for name in DOORS if name not in ("whole upload", "Open Inference Protocol")]
)
def test_a_body_of_another_type_is_refused(world: World, name: DoorName) -> None:
    # The whole upload takes any bytes, and the other protocol fixes no type for its tensors
    door = DOORS[name]
    upload_id = begun_upload(world, door, 600)
    for media_type in ("text/html", "application/x-www-form-urlencoded", "multipart/mixed; x"):
        reply = knock(world, door, [b"<p>"], upload_id=upload_id, Content_Type=media_type)
        assert (reply.status, "html" in reply.body or "send " in reply.body) == (415, True), reply


@pytest.mark.parametrize("name", JSON_DOORS)
def test_a_packed_body_is_not_unpacked(world: World, name: DoorName) -> None:
    # Given a few kilobytes that would be twenty megabytes of JSON
    door = DOORS[name]
    packed = gzip.compress(b'{"name": "' + b"x" * 20 * MIB + b'"}')
    # When they are sent as such
    with peak_memory() as peak:
        reply = knock(world, door, [packed], Content_Encoding="gzip")
    # Then they are taken for what they are, which is no JSON
    assert (reply.status, "not JSON" in reply.body) == (400, True), reply
    assert peak.bytes < 10 * MIB


@pytest.mark.parametrize("name", JSON_DOORS)
@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"x": ' + b"9" * 100_000 + b"}", b'{"x": NaN}', b'"\xff"']
)
def test_json_that_breaks_parsers_is_refused(world: World, name: DoorName, body: bytes) -> None:
    reply = knock(world, DOORS[name], [body])
    assert (reply.status, "not JSON" in reply.body) == (400, True), reply


def test_a_picture_that_unpacks_to_gigabytes_is_refused_by_its_header(world: World) -> None:
    # Given a PNG of some hundred bytes that says it has 900 million pixels
    encoded = b64encode(png_of_pixels(30_000, 30_000)).decode()
    config = (
        '<View><Image name="i" value="$i"/><Choices name="c" toName="i">'
        '<Choice value="cat"/><Choice value="dog"/><Choice value="owl"/></Choices></View>'
    )
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [encoded]}
    asked: dict[str, object] = {
        "/v1/models/images/predictions": {"items": [{"id": "a", "image": encoded}]},
        "/inference/v2/models/images/infer": {"inputs": [tensor]},
        "/label-studio/images/predict": {
            "tasks": [{"data": {"i": f"data:image/png;base64,{encoded}"}}],
            "label_config": config,
        },
    }
    # When it is sent wherever a picture is labelled at once
    for path, body in asked.items():
        with peak_memory() as peak:
            reply = world.post(path, body)
        # Then its size is told and nothing of it was decoded
        assert (reply.status_code, "far more than 50,000,000 pixels" in reply.text) == (
            422,
            True,
        ), reply.text
        assert peak.bytes < 20 * MIB
