"""Bodies are bounded by the bytes that arrive, whatever their length claims."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from serve_apps.gateway.api import build_api
from tests.conformance.full_disks import KINDS, full_disk
from tests.unit.gateway.world import LIMITS, World, problem

Headers = Sequence[tuple[bytes, bytes]]


def send_raw(
    world: World, path: str, headers: Headers, blocks: Iterable[Message], method: str = "POST"
) -> list[Message]:
    """Drive the app as a server does whose client sends exactly these messages."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("testserver", 80),
        "client": ("testclient", 1),
        "headers": [(b"authorization", f"Bearer {world.key('client')}".encode()), *headers],
    }
    incoming = iter(blocks)
    sent: list[Message] = []

    async def receive() -> Message:
        return next(incoming, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    async def serve() -> None:
        await world.http.app(scope, receive, send)

    asyncio.run(serve())
    return sent


def block(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def uploads(world: World) -> list[str]:
    return list(world.stores.objects.list("uploads"))


LENGTHY = [block(b"x" * 20_000, more=True) for _ in range(4)]
CASES: dict[str, tuple[Headers, Sequence[Message], int, bytes]] = {
    "claims too much": (
        [(b"content-length", b"50001")],
        [],
        413,
        b"the request body has 50,001 bytes; the limit is 50,000",
    ),
    "streams too much": ([], LENGTHY, 413, b"the request body has 60,000 bytes"),
    "claims less than it sends": (
        [(b"content-length", b"5")],
        [block(b"123", more=True), block(b"4567")],
        400,
        b"Content-Length promised 5 bytes, 7 arrived",
    ),
    "claims more than it sends": (
        [(b"content-length", b"50")],
        [block(b"1234567")],
        400,
        b"Content-Length promised 50 bytes, 7 arrived",
    ),
    "claims no number": (
        [(b"content-length", "²".encode("latin-1"))],
        [block(b"1")],
        422,
        b"Content-Length: is not a number of bytes",
    ),
    "breaks off": ([], [block(b"123", more=True)], 400, b"the connection closed before"),
    "is empty": ([], [block(b"")], 422, b"it has no rows"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_lying_upload_leaves_nothing_behind(world: World, case: str) -> None:
    headers, blocks, status, detail = CASES[case]
    start, *rest = send_raw(world, "/v1/uploads", headers, blocks)
    body = b"".join(message["body"] for message in rest)
    assert (start["status"], dict(start["headers"])[b"content-type"]) == (
        status,
        b"application/problem+json",
    )
    assert detail in body
    assert uploads(world) == []


@pytest.mark.parametrize(
    ("claimed", "blocks", "status"),
    [
        (b"20001", [], 413),
        (b"10", [block(b"x" * 15_000, more=True), block(b"x" * 15_000)], 413),
        (b"10", [block(b"{}")], 400),
        (b"10", [block(b"{}", more=True)], 400),
    ],
)
def test_json_bodies_are_bounded_alike(
    world: World, claimed: bytes, blocks: Sequence[Message], status: int
) -> None:
    headers = [(b"content-length", claimed), (b"content-type", b"application/json")]
    start, *_ = send_raw(world, "/v1/jobs", headers, blocks)
    assert start["status"] == status


def test_an_upload_may_come_in_pieces_of_any_size(world: World) -> None:
    blocks = [block(b"a" * size, more=True) for size in (0, 1, 4_000, 30_000)]
    start, *_ = send_raw(world, "/v1/uploads", [], [*blocks, block(b"end")])
    assert start["status"] == 201
    (path,) = uploads(world)
    assert world.stores.objects.read(path) == b"a" * 34_001 + b"end"


@pytest.mark.parametrize("kind", KINDS)
def test_an_upload_to_a_full_disk_is_told_so(world: World, tmp_path: Path, kind: str) -> None:
    # Given a disk that takes one such upload, in a service that would take larger ones
    limits = LIMITS.model_copy(update={"upload_bytes_max": 10**6})
    settings = world.services.settings.model_copy(update={"limits": limits})
    services = replace(world.services, settings=settings)
    key = {"Authorization": f"Bearer {world.key('client')}"}
    http = TestClient(build_api(services), headers=key)
    with full_disk(kind, tmp_path / "objects"):
        # When an upload finds no room
        refused = problem(http.post("/v1/uploads", content=bytes(200_000)), 507, "storage-full")
        # Then it says so and when to come back, it left nothing, and a small one still fits
        assert refused.retry_after_s == 60.0
        assert uploads(world) == []
        assert http.post("/v1/uploads", content=b"x").status_code == 201


def test_an_upload_just_within_the_limit_is_taken(world: World) -> None:
    content = b"x" * LIMITS.upload_bytes_max
    assert world.call("POST", "/v1/uploads", "client", content=content).status_code == 201
