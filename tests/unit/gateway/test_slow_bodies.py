"""JSON that comes too slowly, or too much of it at once: it is ended, and nobody else waits."""

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from starlette.types import ASGIApp, Message

from serve_apps.gateway.api import build_api
from serve_apps.gateway.body_room import COMING_BYTES
from tests.unit.gateway.doors import DOORS, Door, DoorName
from tests.unit.gateway.serving import serving
from tests.unit.gateway.world import LIMITS, World

JSON_DOORS = [name for name, door in DOORS.items() if not door.takes_files]
JOBS = DOORS["job with inline items"]


def gateway(world: World, **limits: float) -> ASGIApp:
    """Return the gateway under other limits."""
    changed = LIMITS.model_copy(update=limits)
    settings = world.services.settings.model_copy(update={"limits": changed})
    return build_api(replace(world.services, settings=settings))


class Client:
    """A connection that sends blocks and then nothing, until it is told to hang up."""

    def __init__(self, app: ASGIApp, door: Door, key: str, blocks: Iterable[Message]) -> None:
        self.sent: list[Message] = []
        self.stalled, self._gone = asyncio.Event(), asyncio.Event()
        self._app, self._blocks = app, iter(blocks)
        headers = {"authorization": f"Bearer {key}", "content-type": door.media_type}
        self._scope = {
            "type": "http",
            "method": door.method,
            "path": door.path,
            "raw_path": door.path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }

    async def serve(self) -> int:
        """Return the status of the answer."""
        await asyncio.wait_for(self._app(self._scope, self._receive, self._send), 30)
        return int(self.sent[0]["status"])

    def hang_up(self) -> None:
        self._gone.set()

    async def _receive(self) -> Message:
        found = next(self._blocks, None)
        if found is None:
            self.stalled.set()
            await self._gone.wait()
        return found or {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)


def block(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize("name", JSON_DOORS)
@pytest.mark.parametrize("starts", [True, False])
def test_json_that_comes_too_slowly_is_ended(world: World, name: DoorName, starts: bool) -> None:
    # Given a gateway that waits little for a body
    app, door = gateway(world, body_timeout_s=0.05), DOORS[name]

    async def stall() -> Client:
        # When one stops half-way, or never begins
        blocks = [block(door.begins)] if starts else []
        client = Client(app, door, world.key("client"), blocks)
        assert await client.serve() == 408
        return client

    # Then it is told so, and the connection is closed, for the rest would be read as a request
    client = asyncio.run(stall())
    assert (b"connection", b"close") in client.sent[0]["headers"]
    assert b"to be there within 0.05 s" in client.sent[1]["body"]


def test_a_socket_that_stalls_is_answered_and_closed(world: World) -> None:
    # Given a client that promises a hundred bytes and sends ten
    key = world.key("client")
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    request = f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{'{' * 10}"
    with serving(gateway(world, body_timeout_s=0.1)) as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port), timeout=30) as stalled:
            stalled.sendall(request.encode())
            # Then it is answered, and the connection ends
            reply = b"".join(iter(lambda: stalled.recv(65_536), b""))
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b"urn:muster:problem:slow-body" in reply


def test_bodies_that_stall_take_their_tenants_room_and_no_more(world: World) -> None:
    # Given a tenant that has room for two bodies that are still coming, and lets two stall
    app = gateway(world, bodies_bytes_max=2 * COMING_BYTES)

    async def crowd() -> None:
        def client(*blocks: Message, tenant: str = "acme") -> Client:
            return Client(app, JOBS, world.key("client", tenant), blocks)

        stalled = [client(block(JOBS.begins)) for _ in range(2)]
        serving = [asyncio.create_task(each.serve()) for each in stalled]
        for each in stalled:
            await asyncio.wait_for(each.stalled.wait(), 30)
        # When more come, then it is told when to come back, and others are served
        third = client(block(b"{}", more=False))
        assert await third.serve() == 429
        assert (b"retry-after", b"1") in third.sent[0]["headers"]
        assert await client(block(b"{}", more=False), tenant="other").serve() == 422
        # And once one of them is gone there is room again
        stalled[0].hang_up()
        assert await serving[0] == 400
        assert await client(block(b"{}", more=False)).serve() == 422
        stalled[1].hang_up()
        await serving[1]

    asyncio.run(crowd())


def test_a_body_that_is_alone_has_room(world: World) -> None:
    app = gateway(world, bodies_bytes_max=1)

    async def alone() -> int:
        body = [block(b"{", more=True), block(b"}", more=False)]
        return await Client(app, JOBS, world.key("client"), body).serve()

    assert [asyncio.run(alone()) for _ in range(2)] == [422, 422]
