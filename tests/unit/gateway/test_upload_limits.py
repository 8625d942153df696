"""Uploads in pieces at their limits: what is refused leaves nothing behind that nobody knows of."""

import asyncio
import hashlib

import pytest

from cluster import paths
from cluster.errors import TooLarge
from cluster.upload_reader import open_upload
from serve_apps.gateway.tus import Checksum
from tests.unit.gateway.test_resumable import (
    ACME,
    AS_ACME,
    PIECE,
    TUS,
    body,
    create,
    objects,
    offset_of,
    service,
    stored,
)
from tests.unit.gateway.world import World, job_body, problem


def test_a_piece_ends_at_the_largest_number_of_parts(world: World) -> None:
    pieces = service(world, upload_parts_max=2, upload_part_bytes=2)
    upload = pieces.create(AS_ACME, 60, "")
    with pytest.raises(TooLarge, match="3 parts; the limit is 2"):
        asyncio.run(pieces.receive(upload, 0, body(b"ab", b"cd", b"ef"), None))
    assert pieces.get(ACME, upload.upload_id).received_bytes == 4


def test_a_piece_of_as_many_parts_as_may_be_is_kept(world: World) -> None:
    pieces = service(world, upload_parts_max=2, upload_part_bytes=2)
    for length in (4, 60):
        upload = pieces.create(AS_ACME, length, "")
        grown = asyncio.run(pieces.receive(upload, 0, body(b"ab", b"cd"), None))
        assert (grown.parts, grown.received_bytes) == (2, 4)


def test_a_checked_piece_that_ends_with_a_part_can_be_gone_on_from(world: World) -> None:
    pieces = service(world, upload_part_bytes=2)
    upload = pieces.create(AS_ACME, 6, "")
    for offset, content in ((0, b"abcd"), (4, b"ef")):
        checksum = Checksum("sha1", hashlib.sha1(content, usedforsecurity=False).digest())
        upload = asyncio.run(
            pieces.receive(upload, offset, body(content[:2], content[2:]), checksum)
        )
    assert (upload.parts, upload.is_whole) == (3, True)
    with open_upload(world.stores.objects, ACME, upload.upload_id) as whole:
        assert whole.read() == b"abcdef"


def test_an_upload_of_nothing_is_whole_at_once_and_no_source(world: World) -> None:
    # Given a client that uploads an empty file, which creates it and sends nothing
    url = create(world, 0)
    assert offset_of(world, url) == 0
    # Then it is there and holds nothing, also where the gateway died before it was written down
    upload_id = url.rpartition("/")[2]
    world.stores.objects.delete(paths.upload_manifest(ACME, upload_id))
    assert offset_of(world, url) == 0
    assert stored(world, url) == b""
    # And a job over it is refused, as an empty source
    request = job_body(items=None, upload_id=upload_id, format="jsonl")
    refused = problem(world.post("/v1/jobs", request), 422, "empty-source")
    assert upload_id in refused.detail
    assert world.call("DELETE", url, "client", headers=TUS).status_code == 204


@pytest.mark.parametrize(
    ("content", "checksum", "status"),
    [(b"abcd", {}, 413), (b"abc", {"Upload-Checksum": "sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk="}, 460)],
)
def test_a_creation_whose_body_is_refused_creates_nothing(
    world: World, content: bytes, checksum: dict[str, str], status: int
) -> None:
    headers = {**PIECE, "Upload-Length": "3", **checksum}
    reply = world.call("POST", "/v1/uploads", "client", content=content, headers=headers)
    assert reply.status_code == status, reply.text
    assert world.stores.uploads.unfinished(ACME).count == 0
    assert world.stores.quotas.usage(ACME).upload_bytes == 0
    assert objects(world) == []
