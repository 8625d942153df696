"""Streams of a job's events, over a real server and real sockets."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent, connect_sse

from cluster.domain.jobs import Job, JobEvent, JobState, Progress
from cluster.settings import StreamSettings
from serve_apps.gateway.api import build_api
from serve_apps.gateway.feed import EventFeed
from serve_apps.gateway.keys import presented_key
from tests.unit.gateway.serving import serving
from tests.unit.gateway.world import World, job_body

STREAMS = StreamSettings(look_every_s=0.01, tenant_max=3, replica_max=5)


@dataclass
class Served:
    """A world behind a server that looks at jobs often."""

    world: World
    feed: EventFeed
    http: httpx.Client

    @contextmanager
    def stream(
        self, job: Job, *, after: int | str | None = None, tenant: str = "acme"
    ) -> Iterator[EventSource]:
        headers = {"Authorization": f"Bearer {self.world.key('client', tenant)}"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        path = f"/v1/jobs/{job.job_id}/events/stream"
        with connect_sse(self.http, "GET", path, headers=headers) as source:
            yield source

    def begin(self, streams: ExitStack, job: Job, **more: Any) -> Iterator[ServerSentEvent]:
        """Open a stream that has begun; it ends where nobody holds it."""
        events = streams.enter_context(self.stream(job, **more)).iter_sse()
        next(events)
        return events

    def refused(self, job: Job, **more: Any) -> httpx.Response:
        with self.stream(job, **more) as source:
            source.response.read()
            return source.response

    def record(self, job: Job, kind: str, count: int = 1) -> None:
        event = JobEvent(job_id=job.job_id, kind=kind, at=1.0, message="it happened")
        self.world.stores.events.append([event] * count)


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    settings = world.services.settings.model_copy(update={"streams": STREAMS})
    app = build_api(replace(world.services, settings=settings))
    with serving(app) as url, httpx.Client(base_url=url, timeout=30.0) as http:
        yield Served(world, app.state.feed, http)


def shown(event: ServerSentEvent) -> tuple[str, Any]:
    """Return what an event is and the one figure of it that tells it from others."""
    data = json.loads(event.data)
    figure = {"history": "kind", "progress": "cost", "end": "state"}[event.event]
    return event.event, data[figure]


def test_a_stream_tells_the_past_then_what_happens_and_ends_with_the_job(served: Served) -> None:
    # Given a running job with a past, and somebody who watches it
    world = served.world
    job = world.moved(world.submitted(), JobState.ASKING)
    served.record(job, "ingest.done")
    with served.stream(job) as source:
        assert source.response.headers["content-type"].startswith("text/event-stream")
        assert source.response.headers["cache-control"] == "no-cache"
        events = source.iter_sse()
        told = [next(events) for _ in range(3)]
        # When money is spent, something happens, and the job ends
        job = world.stores.jobs.save(replace(job, progress=Progress(cost=2.5, items=9)))
        told.append(next(events))
        served.record(job, "learn.done")
        told.append(next(events))
        world.moved(job, JobState.COMPLETED)
        told += events
    # Then all of it was told, in order, and the stream is over
    assert [shown(event) for event in told] == [
        ("history", "submitted"),
        ("history", "ingest.done"),
        ("progress", 0.0),
        ("progress", 2.5),
        ("history", "learn.done"),
        ("progress", 2.5),
        ("end", "completed"),
    ]
    assert [event.id for event in told if event.event == "history"] == ["1", "2", "3"]
    progress = json.loads(told[3].data)
    assert (progress["state"], progress["eta_s"], progress["paused"]) == ("asking", None, False)
    assert progress["progress"]["items"] == 9


def test_a_stream_goes_on_after_the_last_event_that_was_seen(served: Served) -> None:
    # Given a job with a long past that has ended
    job = served.world.moved(served.world.submitted(), JobState.COMPLETED)
    served.record(job, "round", count=250)
    # When a client comes back
    with served.stream(job, after=120) as source:
        events = list(source.iter_sse())
    # Then it gets what it missed, each once, and the end
    assert [int(event.id) for event in events if event.event == "history"] == [*range(121, 252)]
    assert [event.event for event in events[-2:]] == ["progress", "end"]


def test_who_has_seen_the_end_is_told_that_nothing_more_comes(served: Served) -> None:
    # Given a browser that has seen a job end, which then comes back by itself
    job = served.world.moved(served.world.submitted(), JobState.COMPLETED)
    with served.stream(job) as source:
        end = list(source.iter_sse())[-1]
    assert end.event == "end"
    reply = served.refused(job, after=end.id)
    assert (reply.status_code, reply.content) == (204, b"")
    # But who lost the connection just before gets the end
    with served.stream(job, after=1) as source:
        assert [event.event for event in source.iter_sse()] == ["progress", "end"]
    # And who says so of a job that goes on, what happens
    running = served.world.submitted(name="running")
    with served.stream(running, after="0-end") as source:
        assert next(source.iter_sse()).event == "history"


def test_a_pace_becomes_an_eta(served: Served) -> None:
    # Given a job that pre-labels ten items a second
    world = served.world
    job = world.moved(world.submitted(), JobState.PRELABELLING)
    with served.stream(job) as source:
        events = source.iter_sse()
        for done in range(0, 100, 10):
            world.clock.time += 1.0
            progress = Progress(items=200, prelabelled=done)
            job = world.stores.jobs.save(replace(job, progress=progress))
            while True:
                event = next(events)
                if event.event == "progress":
                    found = json.loads(event.data)
                    if found["progress"]["prelabelled"] == done:
                        break
    # Then the rest of its items take their time
    assert found["eta_s"] == pytest.approx(11.0, abs=1.5)


def test_many_streams_cost_no_threads_and_one_watch(served: Served) -> None:
    # Given a job that one client watches
    served.feed._settings = STREAMS.model_copy(update={"tenant_max": 40, "replica_max": 40})
    job = served.world.submitted()
    with ExitStack() as streams:
        opened = [served.begin(streams, job)]
        threads = threading.active_count()
        # When many more watch it
        opened += [served.begin(streams, job) for _ in range(30)]
        # Then one watch serves them all, without a thread for each
        assert [watch.watchers for watch in served.feed._watches.values()] == [len(opened)]
        assert threading.active_count() - threads <= 3


def test_a_tenant_has_so_many_streams_and_others_have_theirs(served: Served) -> None:
    # Given a tenant with as many streams open as it may have
    world = served.world
    mine = world.submitted()
    theirs = world.stores.jobs.load(
        world.post("/v1/jobs", job_body(), tenant="umbrella").json()["id"]
    )
    opened: list[Iterator[ServerSentEvent]] = []
    with ExitStack() as streams:
        opened += [served.begin(streams, mine) for _ in range(3)]
        # Then one more is refused and told when to come back
        refused = served.refused(mine)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert refused.json()["type"] == "urn:muster:problem:rate-limited"
        # And the gateway's own bound holds for all
        opened += [served.begin(streams, theirs, tenant="umbrella") for _ in range(2)]
        assert served.refused(theirs, tenant="umbrella").status_code == 429


def test_whoever_goes_makes_room(served: Served) -> None:
    job = served.world.submitted()
    told = []
    for _ in range(8):
        with served.stream(job) as source:
            told.append(next(source.iter_sse()).event)
        wait_until_nobody_watches(served.feed)

    assert len(told) == 8


def test_a_revoked_key_ends_its_streams(served: Served) -> None:
    # Given a running job that a client watches
    world = served.world
    job = world.moved(world.submitted(), JobState.ASKING)
    with served.stream(job) as source:
        events = source.iter_sse()
        told = [next(events).event]
        # When the client's key is revoked, and the gateway has forgotten it
        key = presented_key(f"Bearer {world.key('client')}")
        world.stores.keys.revoke(key.key_id)
        world.clock.time += world.services.settings.http.key_kept_s
        told += [event.event for event in events]
    # Then the stream is over before the job is
    assert "end" not in told


def test_what_cannot_be_streamed_is_a_problem(served: Served) -> None:
    job = served.world.submitted()
    assert served.refused(job, tenant="umbrella").status_code == 404
    headers = {"Authorization": f"Bearer {served.world.key('client')}", "Last-Event-ID": "one"}
    path = f"/v1/jobs/{job.job_id}/events/stream"
    refused = served.http.get(path, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (422, "Last-Event-ID")
    assert served.http.get(path).status_code == 401


def test_a_slow_client_gets_the_newest_and_misses_no_history(served: Served) -> None:
    # Given a client that reads nothing while much happens
    world = served.world
    job = world.moved(world.submitted(), JobState.ASKING)
    with served.stream(job) as source:
        events = source.iter_sse()
        next(events)
        for cost in range(1, 301):
            job = world.stores.jobs.save(replace(job, progress=Progress(cost=float(cost))))
            served.record(job, "round", count=10)
        world.moved(job, JobState.COMPLETED)
        # When it reads on
        told = list(events)
    # Then each event of the history came once, in order, and the last progress is the newest
    assert [int(event.id) for event in told if event.event == "history"] == [*range(2, 3_002)]
    costs = [json.loads(event.data)["cost"] for event in told if event.event == "progress"]
    assert costs == sorted(costs)
    assert costs[-1] == 300.0


def wait_until_nobody_watches(feed: EventFeed) -> None:
    waiting = threading.Event()
    for _ in range(500):
        if not feed._watches:
            return
        waiting.wait(0.01)
    raise AssertionError(feed._watches)
