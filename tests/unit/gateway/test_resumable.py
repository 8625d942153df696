"""Uploads in pieces, word for word as tus 1.0.0 has them: what is kept, what is refused."""

import asyncio
import hashlib
import threading
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from httpx2 import Response
from starlette.requests import ClientDisconnect

from cluster import paths
from cluster.domain.ids import TenantId
from cluster.errors import MusterError, Overloaded, TooLarge
from cluster.settings import Limits
from cluster.upload_errors import UploadOffsetConflict, UploadStalled
from cluster.upload_reader import open_upload
from ingest.sources import Sources
from serve_apps.gateway.resumable import ResumableUploads
from serve_apps.gateway.slots import UploadSlots
from serve_apps.gateway.tus import Checksum
from tests.unit.gateway.world import LIMITS, TENANT, World, acting, job_body, problem

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
ACME = TenantId(TENANT)
AS_ACME = acting()


def create(world: World, length: int, **headers: str) -> str:
    response = world.call(
        "POST", "/v1/uploads", "client", headers={**TUS, "Upload-Length": str(length), **headers}
    )
    assert (response.status_code, response.headers["tus-resumable"]) == (201, "1.0.0")
    assert response.headers["location"] == f"/v1/uploads/{response.json()['id']}"
    return str(response.headers["location"])


def patch(world: World, url: str, offset: object, content: bytes, **headers: str) -> Response:
    sent = {**PIECE, "Upload-Offset": str(offset), **headers}
    return world.call("PATCH", url, "client", content=content, headers=sent)


def offset_of(world: World, url: str) -> int:
    response = world.call("HEAD", url, "client", headers=TUS)
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    return int(response.headers["upload-offset"])


def stored(world: World, url: str) -> bytes:
    with open_upload(world.stores.objects, ACME, url.rpartition("/")[2]) as stream:
        return stream.read()


def objects(world: World) -> list[str]:
    return list(world.stores.objects.list("upload_parts"))


def test_a_file_comes_in_pieces_and_becomes_a_job(world: World) -> None:
    # Given an upload that was announced
    lines = b"".join(b'{"id": "%d", "text": "t"}\n' % number for number in range(40))
    url = create(world, len(lines), **{"Upload-Metadata": "filename aXRlbXM=,private"})
    head = world.call("HEAD", url, "client", headers=TUS).headers
    assert (head["upload-length"], head["upload-metadata"]) == (
        str(len(lines)),
        "filename aXRlbXM=,private",
    )
    # When it comes in three pieces
    for first, last in ((0, 100), (100, 101), (101, len(lines))):
        assert offset_of(world, url) == first
        reply = patch(world, url, first, lines[first:last])
        assert (reply.status_code, reply.headers["upload-offset"]) == (204, str(last))
    # Then it is there byte for byte, nowhere before its last one, and a job may name it
    assert stored(world, url) == lines
    request = job_body(items=None, upload_id=url.rpartition("/")[2], format="jsonl")
    assert world.post("/v1/jobs", request).status_code == 201


def test_an_upload_that_is_not_whole_is_no_source(world: World) -> None:
    url = create(world, 10)
    patch(world, url, 0, b"123456789")
    request = job_body(items=None, upload_id=url.rpartition("/")[2], format="jsonl")
    refused = problem(world.post("/v1/jobs", request), 404, "upload-not-found")
    assert str(request["upload_id"]) in refused.detail


def test_the_first_piece_may_come_with_the_creation(world: World) -> None:
    headers = {**PIECE, "Upload-Length": "6"}
    reply = world.call("POST", "/v1/uploads", "client", content=b"abc", headers=headers)
    assert (reply.status_code, reply.headers["upload-offset"]) == (201, "3")
    url = reply.headers["location"]
    assert patch(world, url, 3, b"def").status_code == 204
    assert stored(world, url) == b"abcdef"


def test_a_large_piece_is_stored_in_parts_and_read_at_random(world: World) -> None:
    # Given a service that stores parts of a hundred bytes
    pieces = service(world, upload_part_bytes=100)
    content = bytes(range(256)) * 4
    upload = pieces.create(AS_ACME, len(content), "")
    # When one body brings all of it
    whole = asyncio.run(pieces.receive(upload, 0, body(*cut(content, 64)), None))
    # Then it lies in parts, no larger than one block more, and reads as one file
    assert whole.is_whole
    parts = world.stores.uploads.parts(upload.upload_id)
    assert (whole.parts, max(part.size_bytes for part in parts)) == (8, 128)
    sources, uri = Sources(world.stores.objects, ACME, ()), f"upload://{upload.upload_id}"
    with sources.open(uri, 9_999) as file:
        for start, size in ((0, 1), (90, 300), (1_000, 99), (127, 2), (2_000, 5)):
            file.seek(start)
            assert file.read(size) == content[start : start + size]
        assert file.seek(-3, 2) == len(content) - 3
        assert file.read() == content[-3:]


def test_what_arrives_before_a_connection_breaks_is_kept(world: World) -> None:
    pieces = service(world, upload_part_bytes=100)
    for broken_by in (ClientDisconnect(), asyncio.CancelledError()):
        upload = pieces.create(AS_ACME, 1_000, "")
        content = body(b"a" * 250, b"b" * 33, broken_by)
        with pytest.raises(type(broken_by)):
            asyncio.run(pieces.receive(upload, 0, content, None))
        assert pieces.get(ACME, upload.upload_id).received_bytes == 283


def test_a_body_that_comes_too_slowly_is_ended_and_kept(world: World) -> None:
    pieces = service(world, upload_part_timeout_s=0.01)
    upload = pieces.create(AS_ACME, 100, "")
    with pytest.raises(UploadStalled, match="stalled at byte 3; go on from there"):
        asyncio.run(pieces.receive(upload, 0, body(b"abc", None), None))
    assert pieces.get(ACME, upload.upload_id).received_bytes == 3


def test_a_checked_body_that_comes_too_slowly_is_ended_and_can_be_sent_again(world: World) -> None:
    pieces = service(world, upload_part_timeout_s=0.01, upload_part_bytes=2)
    upload = pieces.create(AS_ACME, 100, "")
    with pytest.raises(UploadStalled, match="stalled at byte 0"):
        asyncio.run(pieces.receive(upload, 0, body(b"abc", None), Checksum("md5", bytes(16))))
    assert pieces.get(ACME, upload.upload_id).received_bytes == 0
    assert objects(world) == []


def test_with_a_checksum_it_is_all_or_nothing(world: World) -> None:
    pieces = service(world, upload_part_bytes=4)
    upload = pieces.create(AS_ACME, 12, "")
    right = Checksum("sha256", hashlib.sha256(b"hello world!").digest())
    before = objects(world)
    for content in (body(b"hello", b" w0rld!"), body(b"hello", ClientDisconnect())):
        with pytest.raises((MusterError, ClientDisconnect)):
            asyncio.run(pieces.receive(upload, 0, content, right))
        assert pieces.get(ACME, upload.upload_id).received_bytes == 0
        assert objects(world) == before
    assert asyncio.run(pieces.receive(upload, 0, body(b"hello", b" world!"), right)).is_whole


def test_a_damaged_piece_is_told_by_its_checksum(world: World) -> None:
    url = create(world, 3)
    digest = b64encode(hashlib.sha1(b"abc", usedforsecurity=False).digest()).decode()
    checksum = {"Upload-Checksum": f"sha1 {digest}"}
    problem(patch(world, url, 0, b"abd", **checksum), 460, "checksum-mismatch")
    assert offset_of(world, url) == 0
    assert patch(world, url, 0, b"abc", **checksum).status_code == 204


def test_of_two_pieces_at_the_same_time_one_wins(world: World) -> None:
    # Given two requests that both go on from the start and have both sent all of their bytes
    pieces = service(world)
    upload = pieces.create(AS_ACME, 6, "")
    meeting = threading.Barrier(2)

    def send(content: bytes) -> str:
        async def both() -> AsyncIterator[bytes]:
            yield content
            await asyncio.to_thread(meeting.wait, 30)

        try:
            asyncio.run(pieces.receive(upload, 0, both(), None))
        except UploadOffsetConflict:
            return "409"
        return content.decode()

    # When both are stored
    replies: list[str] = []
    threads = [
        threading.Thread(target=lambda content=content: replies.append(send(content)))
        for content in (b"aaaaaa", b"bbbbbb")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Then one is, whole, and the other is told so and has left nothing
    (won,) = set(replies) - {"409"}
    assert len(replies) == 2
    with open_upload(world.stores.objects, ACME, upload.upload_id) as stream:
        assert stream.read() == won.encode()
    assert len(objects(world)) == 2  # the part and the manifest


def test_another_gateway_goes_on_and_finishes_what_one_left(world: World) -> None:
    # Given a gateway that stored the last part and died before the upload could be read
    upload = service(world).create(AS_ACME, 6, "")
    asyncio.run(service(world).receive(upload, 0, body(b"abcdef"), None))
    world.stores.objects.delete(paths.upload_manifest(ACME, upload.upload_id))
    # When another one is asked how far it is
    assert service(world).get(ACME, upload.upload_id).is_whole
    # Then it can be read
    assert stored(world, upload.upload_id) == b"abcdef"


def test_an_unfinished_upload_runs_out_and_its_bytes_go(world: World) -> None:
    url, whole = create(world, 10), create(world, 1)
    patch(world, whole, 0, b"w")
    world.clock.time += 80_000
    patch(world, url, 0, b"abc")
    # It has a day from its last piece on
    world.clock.time += 80_000
    assert offset_of(world, url) == 3
    world.clock.time += 6_401
    assert world.call("HEAD", url, "client", headers=TUS).status_code == 404
    problem(patch(world, url, 3, b"d"), 404, "upload-not-found")
    # The next upload clears it away; what is whole stays
    create(world, 1)
    assert {path.split("/")[2] for path in objects(world)} == {whole.rpartition("/")[2]}
    assert stored(world, whole) == b"w"


def test_a_terminated_upload_is_gone(world: World) -> None:
    for content in (b"abc", b"abcdef"):
        url = create(world, 6)
        patch(world, url, 0, content)
        assert world.call("DELETE", url, "client", headers=TUS).status_code == 204
        problem(world.call("DELETE", url, "client", headers=TUS), 404, "upload-not-found")
        problem(patch(world, url, 3, b"d"), 404, "upload-not-found")
    assert objects(world) == []


def test_nobody_touches_the_upload_of_another_tenant(world: World) -> None:
    url = create(world, 6)
    for method in ("HEAD", "PATCH", "DELETE"):
        headers = {**PIECE, "Upload-Offset": "0"}
        reply = world.call(method, url, "client", "rival", headers=headers)
        assert reply.status_code == 404
    assert offset_of(world, url) == 0


def test_unfinished_uploads_have_a_quota(world: World) -> None:
    pieces = service(world, unfinished_uploads_max=2, unfinished_bytes_max=100)
    first = pieces.create(AS_ACME, 60, "")
    with pytest.raises(TooLarge, match="110 bytes; the limit is 100"):
        pieces.create(AS_ACME, 50, "")
    pieces.create(AS_ACME, 40, "")
    with pytest.raises(TooLarge, match="3 files; the limit is 2"):
        pieces.create(AS_ACME, 1, "")
    pieces.create(acting("rival"), 60, "")
    asyncio.run(pieces.receive(first, 0, body(b"x" * 60), None))
    assert pieces.create(AS_ACME, 60, "").received_bytes == 0


def test_an_upload_has_a_largest_number_of_parts(world: World) -> None:
    pieces = service(world, upload_parts_max=2)
    upload = pieces.create(AS_ACME, 60, "")
    for offset in (0, 1):
        upload = asyncio.run(pieces.receive(upload, offset, body(b"x"), None))
    with pytest.raises(TooLarge, match="3 parts; the limit is 2"):
        asyncio.run(pieces.receive(upload, 2, body(b"x"), None))


def test_only_so_many_bodies_are_received_at_once(world: World) -> None:
    pieces = service(world, upload_streams_max=1)
    upload = pieces.create(AS_ACME, 60, "")

    async def nested() -> AsyncIterator[bytes]:
        yield b"x"
        with pytest.raises(Overloaded):
            await pieces.receive(upload, 0, body(b"y"), None)

    assert asyncio.run(pieces.receive(upload, 0, nested(), None)).received_bytes == 1


def test_the_service_says_what_it_speaks(world: World) -> None:
    reply = world.call("OPTIONS", "/v1/uploads", "client")
    assert reply.status_code == 204
    assert {name: reply.headers[name] for name in ("tus-version", "tus-max-size")} == {
        "tus-version": "1.0.0",
        "tus-max-size": str(LIMITS.upload_bytes_max),
    }
    assert reply.headers["tus-extension"].split(",") == [
        "creation",
        "creation-with-upload",
        "expiration",
        "checksum",
        "termination",
    ]


def test_a_method_may_travel_in_a_header(world: World) -> None:
    url = create(world, 3)
    headers = {**PIECE, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert world.call("POST", url, "client", content=b"abc", headers=headers).status_code == 204
    assert stored(world, url) == b"abc"


BAD_CREATIONS: dict[str, tuple[dict[str, str], int, str]] = {
    "another version": ({"Tus-Resumable": "0.2.2", "Upload-Length": "1"}, 412, "unsupported-tus"),
    "no length": ({}, 422, "invalid-field"),
    "a length to be told later": ({"Upload-Defer-Length": "1"}, 422, "invalid-field"),
    "a negative length": ({"Upload-Length": "-1"}, 422, "invalid-field"),
    "too much": ({"Upload-Length": "50001"}, 413, "too-large"),
    "metadata that is not base64": (
        {"Upload-Length": "1", "Upload-Metadata": "name !!"},
        422,
        "invalid-field",
    ),
    "metadata twice": ({"Upload-Length": "1", "Upload-Metadata": "a,a"}, 422, "invalid-field"),
    "endless metadata": (
        {"Upload-Length": "1", "Upload-Metadata": f"a {'QUFB' * 2_000}"},
        422,
        "invalid-field",
    ),
    "an odd body": ({"Upload-Length": "1", "Content-Type": "text/csv"}, 415, "unsupported-media"),
}


@pytest.mark.parametrize("case", BAD_CREATIONS)
def test_a_creation_that_is_wrong_creates_nothing(world: World, case: str) -> None:
    headers, status, slug = BAD_CREATIONS[case]
    reply = world.call("POST", "/v1/uploads", "client", headers={**TUS, **headers})
    problem(reply, status, slug)
    assert (reply.headers["tus-resumable"], reply.headers["tus-version"]) == ("1.0.0", "1.0.0")
    assert world.stores.uploads.unfinished(ACME).count == 0


BAD_PIECES: dict[str, tuple[dict[str, str], bytes, int, str]] = {
    "another version": ({"Tus-Resumable": "0.2.2"}, b"d", 412, "unsupported-tus"),
    "no version": ({"Tus-Resumable": ""}, b"d", 412, "unsupported-tus"),
    "another type": ({"Content-Type": "application/json"}, b"d", 415, "unsupported-media"),
    "no offset": ({"Upload-Offset": ""}, b"d", 422, "invalid-field"),
    "an odd offset": ({"Upload-Offset": "3.0"}, b"d", 422, "invalid-field"),
    "a gap": ({"Upload-Offset": "4"}, b"d", 409, "upload-offset"),
    "once more": ({"Upload-Offset": "0"}, b"abc", 409, "upload-offset"),
    "beyond the end": ({"Upload-Offset": "3"}, b"defg", 413, "too-large"),
    "an unknown checksum": ({"Upload-Checksum": "crc32 AAAA"}, b"d", 400, "unsupported-checksum"),
    "a short checksum": ({"Upload-Checksum": "sha1 AAAA"}, b"d", 422, "invalid-field"),
    "no checksum at all": ({"Upload-Checksum": "sha1"}, b"d", 422, "invalid-field"),
}


@pytest.mark.parametrize("case", BAD_PIECES)
def test_a_piece_that_is_wrong_changes_nothing(world: World, case: str) -> None:
    headers, content, status, slug = BAD_PIECES[case]
    url = create(world, 6)
    patch(world, url, 0, b"abc")
    problem(patch(world, url, 3, content, **headers), status, slug)
    assert offset_of(world, url) == 3
    assert patch(world, url, 3, b"def").status_code == 204
    assert stored(world, url) == b"abcdef"


def test_a_body_of_untold_length_ends_at_the_upload(world: World) -> None:
    pieces = service(world, upload_part_bytes=2)
    upload = pieces.create(AS_ACME, 6, "")
    with pytest.raises(TooLarge, match="8 bytes; the limit is 6"):
        asyncio.run(pieces.receive(upload, 0, body(b"ab", b"cd", b"efgh"), None))
    assert pieces.get(ACME, upload.upload_id).received_bytes == 4


def service(world: World, **limits: object) -> ResumableUploads:
    """Return what a gateway with other limits would receive uploads with."""
    changed = Limits.model_validate({**LIMITS.model_dump(), **limits})
    settings = world.services.settings.model_copy(update={"limits": changed})
    slots = UploadSlots(changed.upload_streams_max, settings.quotas.upload_streams_max)
    return ResumableUploads(replace(world.services, settings=settings), slots)


async def body(*blocks: bytes | BaseException | None) -> AsyncIterator[bytes]:
    """Yield blocks; raise what is an error, and stay silent for ever at None."""
    for block in blocks:
        if block is None:
            await asyncio.Event().wait()
        elif isinstance(block, BaseException):
            raise block
        else:
            yield block


def cut(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]
