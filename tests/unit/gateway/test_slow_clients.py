"""Clients that take their time: no more of them is held than what they are owed, nobody waits."""

import asyncio
import socket
import threading
from dataclasses import replace
from time import monotonic
from urllib.parse import urlsplit

import httpx2 as httpx
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster import paths
from cluster.domain.jobs import Job, JobState
from serve_apps.gateway.adapters.openai.files import FILES
from serve_apps.gateway.api import build_api
from tests.unit.gateway.serving import serving
from tests.unit.gateway.world import LIMITS, World

MIB = 2**20
EXPORT_BYTES = 64 * MIB


class Counted:
    """An app of which it is known how many bytes a server took of it, and when it is done."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.taken = 0
        self.done = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body":
                self.taken += len(message["body"])

        is_export = scope["type"] == "http" and scope["path"].endswith("/export")
        try:
            await self._app(scope, receive, counted if is_export else send)
        finally:
            if is_export:
                self.done.set()


def exported(world: World) -> Job:
    """Return a job whose export is large."""
    job = world.moved(world.submitted(), JobState.COMPLETED)
    with world.stores.objects.open_output(paths.export(job.job_id, "jsonl")) as output:
        for _ in range(EXPORT_BYTES // MIB):
            output.write(b"x" * (MIB - 1) + b"\n")
    return job


def test_an_export_that_is_never_read_holds_a_few_blocks_and_nobody_up(world: World) -> None:
    # Given a client that asks for an export of 64 MiB and reads none of it
    job, key = exported(world), world.key("client")
    counted = Counted(world.http.app)
    with serving(counted) as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port)) as idle:
            path = f"/v1/jobs/{job.job_id}/export"
            request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n"
            idle.sendall(request.encode())
            # When the service has sent what the way holds
            taken = settled(counted)
            # Then it reads no further, and others are answered meanwhile
            assert 0 < taken < 16 * MIB
            for _ in range(20):
                reply = httpx.get(f"{url}/v1/jobs", headers={"Authorization": f"Bearer {key}"})
                assert reply.status_code == 200
            assert counted.taken == taken
            assert not counted.done.is_set()
        # And once the client is gone nothing is held for it
        assert counted.done.wait(30)


def settled(counted: Counted) -> int:
    """Wait until the count has stood still for half a second and return it."""
    pause, since, seen = threading.Event(), monotonic(), -1
    while monotonic() < since + 0.5:
        if counted.taken != seen:
            seen, since = counted.taken, monotonic()
        pause.wait(0.02)
    return seen


def test_a_file_of_a_batch_that_comes_too_slowly_is_ended_and_leaves_nothing(world: World) -> None:
    # Given a gateway that waits little for the next part, and a form that stops half-way
    limits = LIMITS.model_copy(update={"upload_part_timeout_s": 0.05})
    settings = world.services.settings.model_copy(update={"limits": limits})
    slow = TestClient(build_api(replace(world.services, settings=settings)))
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n{}'
    # When nothing more comes
    reply = asyncio.run(stalled(slow.app, head, world.key("client")))
    # Then it is told so, its place is free, and nothing of it is kept
    assert (reply[0]["status"], b"nothing for 0.05 s" in reply[1]["body"]) == (408, True)
    assert list(world.stores.objects.list("uploads")) == []


async def stalled(app: ASGIApp, head: bytes, key: str) -> list[Message]:
    """Send the beginning of a form and then nothing for ever; return the answer."""
    headers = {"authorization": f"Bearer {key}", "content-type": "multipart/form-data; boundary=b"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": FILES,
        "raw_path": FILES.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    messages, sent = iter([{"type": "http.request", "body": head, "more_body": True}]), []

    async def receive() -> Message:
        found = next(messages, None)
        if found is None:
            await asyncio.Event().wait()
        return found or {}

    async def send(message: Message) -> None:
        sent.append(message)

    await asyncio.wait_for(app(scope, receive, send), 30)
    return sent
