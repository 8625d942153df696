"""When batches came to what they are, and what becomes of them once their jobs expire."""

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from cluster.domain.jobs import JobEvent
from cluster.settings import RetentionSettings
from serve_apps.gateway.adapters.openai.moments import moments_of
from serve_apps.jobs.sweep import sweep
from tests.unit.gateway.test_openai import FAKE, asked, client_of, created, ended, uploaded
from tests.unit.gateway.world import World


@pytest.fixture
def client(world: World) -> OpenAI:
    world.clock.time = 1_700_000_000.0
    return client_of(world)


def test_a_batch_tells_when_it_came_to_what_it_is(world: World, client: OpenAI) -> None:
    # Given a batch that has just been made
    batch = created(client, uploaded(client, asked("a", "x")))
    assert (batch.in_progress_at, batch.finalizing_at, batch.completed_at) == (None, None, None)
    # When it has run
    done = ended(world, client, batch)
    # Then every step has its time, one after the other
    times = (done.created_at, done.in_progress_at, done.finalizing_at, done.completed_at)
    assert None not in times
    assert list(times) == sorted(times)  # type: ignore[type-var]
    assert (done.cancelling_at, done.cancelled_at, done.failed_at) == (None, None, None)


def test_a_batch_that_is_cancelled_tells_since_when(world: World, client: OpenAI) -> None:
    batch = created(client, uploaded(client, asked("a", "x")))
    world.clock.time += 5.0
    cancelling = client.batches.cancel(batch.id)
    assert (cancelling.status, cancelling.cancelling_at) == ("cancelling", 1_700_000_005)
    world.clock.time += 5.0
    client.batches.cancel(batch.id)
    cancelled = ended(world, client, batch)
    assert (cancelled.status, cancelled.cancelling_at) == ("cancelled", 1_700_000_005)
    assert cancelled.cancelled_at == 1_700_000_010


def test_what_a_batch_gives_is_kept_as_long_as_it_says(world: World, client: OpenAI) -> None:
    # Given a batch whose output is to be kept for an hour
    file = uploaded(client, asked("a", "x"))
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata=FAKE,
        output_expires_after={"anchor": "created_at", "seconds": 3_600},
    )
    done = ended(world, client, batch)
    assert done.output_file_id is not None
    # When that is over
    world.clock.time = float(done.completed_at or 0) + 3_601.0
    sweep(world.stores, RetentionSettings(), world.clock)
    # Then the batch is what it was, when it was, and what it gave is gone
    kept = client.batches.retrieve(batch.id)
    assert (kept.status, kept.completed_at) == ("completed", done.completed_at)
    assert (kept.output_file_id, kept.expired_at) == (None, None)
    assert [each.status for each in client.batches.list()] == ["completed"]
    with pytest.raises(NotFoundError):
        client.files.content(done.output_file_id)


def test_an_output_cannot_be_kept_for_a_moment(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="output_expires_after/seconds"):
        client.batches.create(
            input_file_id="file-x",
            endpoint="/v1/chat/completions",
            completion_window="24h",
            output_expires_after={"anchor": "created_at", "seconds": 60},
        )


def test_a_long_history_is_looked_at_from_both_ends(world: World) -> None:
    # Given a job with many events between its first state and its last
    job = world.submitted()

    def told(kind: str, message: str, at: float) -> JobEvent:
        return JobEvent(job_id=job.job_id, kind=kind, at=at, message=message)

    between = [told("round", "a round", 3.0)] * 500
    first, last = told("state", "the job is prelabelling", 2.0), told("state", "disk full", 9.0)
    world.stores.events.append([first, *between, last])
    # Then both are found, and a state whose message is a reason is a failure
    moments = moments_of(world.stores.events, job.job_id)
    assert {state.value: at for state, at in moments.came_to.items()} == {
        "prelabelling": 2.0,
        "failed": 9.0,
    }
    assert moments.end == "failed"
