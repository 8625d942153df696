"""The client on an event loop, and how both clients follow a job over lost connections."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import httpx
import pytest

from cluster.domain.ids import JobId
from cluster.domain.jobs import JobState, Progress
from cluster.settings import StreamSettings
from serve_apps.client import (
    AsyncMuster,
    ClientProblem,
    Happening,
    MusterClient,
    Retries,
    ServiceUnreachable,
)
from serve_apps.gateway.api import build_api
from serve_apps.gateway.schemas.assignments import AssignmentRequest, SeatBody
from serve_apps.gateway.schemas.job_change import JobChange
from serve_apps.gateway.schemas.job_request import ItemBody, JobRequest, LabelBody
from serve_apps.gateway.schemas.jobs import EventView, JobView
from serve_apps.gateway.schemas.streams import ProgressEvent
from serve_apps.gateway.schemas.work import AnswerBody, WorkerRequest
from tests.unit.gateway.serving import serving
from tests.unit.gateway.test_results import deliver
from tests.unit.gateway.world import World

FILES_AND_KEYS = {
    "upload",
    "remove_upload",
    "set_quota",
    "export",
    "errors",
    "issue_key",
    "revoke_key",
    "audit",
}
"""What only the blocking client does."""

REQUEST = JobRequest(
    name="animals",
    modality="text",
    labels=[LabelBody(name="cat"), LabelBody(name="dog")],
    items=[ItemBody(id="i0", text="meow")],
)


@pytest.fixture
def url(world: World) -> Iterator[str]:
    streams = StreamSettings(look_every_s=0.01)
    settings = world.services.settings.model_copy(update={"streams": streams})
    with serving(build_api(replace(world.services, settings=settings))) as found:
        yield found


def parameters(client: type, name: str) -> list[tuple[str, object, object]]:
    found = inspect.signature(getattr(client, name)).parameters.values()
    return [(each.name, each.kind, each.default) for each in found]


def test_both_clients_have_the_same_methods() -> None:
    public = {
        client: {name for name in vars(client) if not name.startswith("_")}
        for client in (MusterClient, AsyncMuster)
    }
    assert public[AsyncMuster] == public[MusterClient] - FILES_AND_KEYS
    for name in public[AsyncMuster]:
        assert parameters(AsyncMuster, name) == parameters(MusterClient, name), name
        assert getattr(AsyncMuster, name).__doc__ == getattr(MusterClient, name).__doc__, name


def test_a_job_runs_through_the_asynchronous_client(world: World, url: str) -> None:
    async def run() -> None:
        async with AsyncMuster(url, world.key("client")) as muster:
            # When a job is submitted, twice with one key, paused, amended and resumed
            job = await muster.submit(REQUEST, idempotency_key="one")
            assert (await muster.submit(REQUEST, idempotency_key="one")).id == job.id
            assert (await muster.pause(job.id)).paused
            resumed = await muster.resume(job.id)
            change = JobChange(weight=2.0)
            amended = await muster.amend(job.id, change, if_revision=resumed.revision)
            assert amended.weight == 2.0
            # And it delivers and completes while it is followed
            following = asyncio.create_task(collected(muster.follow(job.id)))
            stored = world.stores.jobs.load(JobId(job.id))
            delivered = deliver(world, stored, [3, 2])
            world.moved(stored, JobState.COMPLETED)
            # Then all of it is read back
            told = await following
            kinds = [event.kind for event in told if isinstance(event, EventView)]
            assert kinds == ["submitted", "paused", "resumed", "amended"]
            assert isinstance(told[-1], JobView)
            assert told[-1].state is JobState.COMPLETED
            assert [found.item_id async for found in muster.results(job.id)] == delivered
            assert [found.id async for found in muster.jobs()] == [job.id]
            assert [event.kind for event in await muster.events(job.id)] == kinds
            with pytest.raises(ClientProblem, match="already completed"):
                await muster.cancel(job.id)
            with pytest.raises(ClientProblem, match="there is no model x"):
                await muster.live_model("x")

    asyncio.run(run())


def test_workers_work_side_by_side_through_the_asynchronous_client(world: World, url: str) -> None:
    world.asking(["meow", "woof", "hoot"])

    async def work(muster: AsyncMuster, name: str) -> list[str]:
        worker = await muster.register_worker(WorkerRequest(name=name, price=0.01))
        offers = await muster.claim(worker.id, 2)
        tokens = [offer.token for offer in offers]
        assert len(await muster.heartbeat(worker.id, tokens)) == len(offers)
        said = [AnswerBody(token=offer.token, label="dog", duration_s=2.0) for offer in offers]
        return [result.status for result in await muster.answer(worker.id, said)]

    async def run() -> list[list[str]]:
        async with AsyncMuster(url, world.key("worker")) as muster:
            return await asyncio.gather(*(work(muster, name) for name in ("ann", "zoe")))

    statuses = [status for given in asyncio.run(run()) for status in given]
    assert statuses
    assert set(statuses) == {"accepted"}


def test_an_owner_assigns_work_through_the_asynchronous_client(world: World, url: str) -> None:
    job, ann = world.asking(["meow", "woof", "hoot"]), world.worker("ann")
    request = AssignmentRequest(workers=[SeatBody(worker_id=ann, count=2)])

    async def run() -> tuple[list[str], list[str]]:
        async with AsyncMuster(url, world.key("client")) as owner:
            (made,) = await owner.assign(job.job_id, request)
        async with AsyncMuster(url, world.key("worker")) as crowd:
            held = await crowd.leases(ann)
        return [lease.token for lease in made.leases], [offer.token for offer in held]

    made, held = asyncio.run(run())
    assert len(made) == 2
    assert made == held


def test_the_blocking_client_follows_a_job_to_its_end(world: World, url: str) -> None:
    job = world.moved(world.submitted(), JobState.ASKING)
    with MusterClient(url, world.key("client")) as muster:
        told: list[Happening] = []
        for happening in muster.follow(job.job_id):
            told.append(happening)
            if isinstance(happening, ProgressEvent) and happening.cost == 0.0:
                spent = replace(world.stores.jobs.load(job.job_id), progress=Progress(cost=1.5))
                world.moved(world.stores.jobs.save(spent), JobState.COMPLETED)
    assert isinstance(told[0], EventView)
    costs = [found.cost for found in told if isinstance(found, ProgressEvent)]
    assert (costs[0], costs[-1]) == (0.0, 1.5)
    assert isinstance(told[-1], JobView)


def history(seq: int) -> bytes:
    event = EventView(seq=seq, kind="round", at="2026-01-01T00:00:00Z", message="", figures={})
    return f"event: history\nid: {seq}\ndata: {event.model_dump_json()}\n\n".encode()


class Breaking(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that breaks off after its blocks."""

    def __init__(self, *blocks: bytes) -> None:
        self.blocks = blocks

    def __iter__(self) -> Iterator[bytes]:
        yield from self.blocks
        raise httpx.ReadError("gone")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for block in self.blocks:
            yield block
        raise httpx.ReadError("gone")


def stream_of(body: bytes | httpx.SyncByteStream) -> httpx.Response:
    headers = {"Content-Type": "text/event-stream"}
    if isinstance(body, bytes):
        return httpx.Response(200, headers=headers, content=body)
    return httpx.Response(200, headers=headers, stream=body)


Serve = Callable[[httpx.Request], httpx.Response]


def followed(serve: Serve, waits: list[float]) -> list[Happening]:
    """Follow a job with both clients, which must be told the same."""
    transport, retries = httpx.MockTransport(serve), Retries(attempts=3, first_wait_s=0.0)

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    async def run() -> list[Happening]:
        async with AsyncMuster(
            "http://m", "k", retries=retries, wait=wait, transport=transport
        ) as muster:
            return await collected(muster.follow("job-1"))

    return asyncio.run(run())


def test_a_lost_connection_is_opened_again_after_what_was_read(world: World) -> None:
    # Given a server whose streams break off, end early, say unknown things, and at last end
    end = world.get(f"/v1/jobs/{world.submitted().job_id}").text
    asked: list[str] = []
    bodies: list[bytes | httpx.SyncByteStream] = [
        Breaking(history(1), history(2)),
        history(3),
        b"event: news\ndata: {}\n\n" + history(4) + f"event: end\ndata: {end}\n\n".encode(),
    ]

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["last-event-id"])
        return stream_of(bodies[len(asked) - 1])

    # When the job is followed
    waits: list[float] = []
    told = followed(serve, waits)

    # Then each event came once, and it waited between
    assert [event.seq for event in told if isinstance(event, EventView)] == [1, 2, 3, 4]
    assert asked == ["0", "2", "3"]
    assert len(waits) == 2
    # And the blocking client is told the same
    asked.clear()
    transport = httpx.MockTransport(serve)
    with MusterClient("http://m", "k", wait=waits.append, transport=transport) as muster:
        assert list(muster.follow("job-1")) == told
    assert len(waits) == 4


def test_a_stream_that_only_breaks_is_given_up() -> None:
    asked: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return stream_of(Breaking())

    with pytest.raises(ServiceUnreachable):
        followed(serve, [])
    assert len(asked) == 3
    retries = Retries(attempts=3, first_wait_s=0.0)
    transport = httpx.MockTransport(serve)
    with (
        MusterClient(
            "http://m", "k", retries=retries, wait=lambda _: None, transport=transport
        ) as muster,
        pytest.raises(ServiceUnreachable),
    ):
        list(muster.follow("job-1"))
    assert len(asked) == 6


def test_the_asynchronous_client_waits_and_tries_again_and_gives_up_alike() -> None:
    answers = iter([503, 429, 200])
    waits: list[float] = []

    def serve(_: httpx.Request) -> httpx.Response:
        status = next(answers)
        if status == 200:
            return httpx.Response(200, json={"jobs": [], "next_cursor": None})
        return httpx.Response(status, headers={"Retry-After": "7"})

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    def silent(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    async def run(serve: Serve) -> list[JobView]:
        transport = httpx.MockTransport(serve)
        async with AsyncMuster("http://m", "k", wait=wait, transport=transport) as muster:
            return [job async for job in muster.jobs()]

    assert asyncio.run(run(serve)) == []
    assert waits == [7.0, 7.0]
    with pytest.raises(ServiceUnreachable, match="after 8 attempts"):
        asyncio.run(run(silent))


async def collected(happenings: AsyncIterator[Happening]) -> list[Happening]:
    return [happening async for happening in happenings]


def test_an_endpoint_is_registered_tried_and_removed_on_an_event_loop(
    world: World, url: str
) -> None:
    async def run() -> None:
        async with AsyncMuster(url, world.key("client")) as muster:
            made = await muster.add_webhook("https://hooks.example/", ["job.failed"], "ours")
            assert (await muster.rotate_webhook(made.id)).secret != made.secret
            assert (await muster.ping_webhook(made.id)).next_attempt_at is not None
            assert (await muster.enable_webhook(made.id)).state == "enabled"
            assert (await muster.webhooks())[0] == await muster.webhook(made.id)
            await muster.remove_webhook(made.id)
            assert await muster.webhooks() == ()

    asyncio.run(run())
