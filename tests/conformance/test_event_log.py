"""`EventLog`: each job's events, numbered without gaps."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from cluster.domain.ids import JobId
from cluster.ports import Stores
from tests.conformance import samples

OTHER = JobId("job-0002")


def test_events_come_back_in_order_with_their_numbers(stores: Stores) -> None:
    first = samples.event("ingested", items=12.0, seconds=0.5)
    second = samples.event("prelabelled")

    stores.events.append([first])
    stores.events.append([second, samples.event(job_id=OTHER), first])

    assert stores.events.read(samples.JOB, 0, 10) == (
        replace(first, seq=1),
        replace(second, seq=2),
        replace(first, seq=3),
    )
    assert [event.seq for event in stores.events.read(OTHER, 0, 10)] == [1]


def test_the_newest_number_is_that_of_the_last_event(stores: Stores) -> None:
    assert stores.events.newest(samples.JOB) == 0

    stores.events.append([samples.event(), samples.event(), samples.event(job_id=OTHER)])

    assert (stores.events.newest(samples.JOB), stores.events.newest(OTHER)) == (2, 1)


def test_reading_goes_on_after_a_number(stores: Stores) -> None:
    stores.events.append([samples.event(f"kind-{number}") for number in range(5)])

    assert [event.seq for event in stores.events.read(samples.JOB, 2, 2)] == [3, 4]
    assert stores.events.read(samples.JOB, 5, 2) == ()
    assert stores.events.read(JobId("unknown"), 0, 2) == ()


def test_appending_nothing_changes_nothing(stores: Stores) -> None:
    stores.events.append([])

    assert stores.events.read(samples.JOB, 0, 10) == ()


def test_figures_that_are_not_finite_survive(stores: Stores) -> None:
    stores.events.append([samples.event(loss=math.nan, bound=math.inf)])

    (stored,) = stores.events.read(samples.JOB, 0, 1)

    assert math.isnan(stored.figures["loss"])
    assert stored.figures["bound"] == math.inf


def test_parallel_appends_give_every_event_its_own_number(stores: Stores) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: stores.events.append([samples.event()] * 2), range(16)))

    assert [event.seq for event in stores.events.read(samples.JOB, 0, 99)] == list(range(1, 33))


def test_what_webhooks_may_tell_of_is_noticed_until_it_is_dropped(stores: Stores) -> None:
    # Given events of which some are of interest outside
    promoted, idle = samples.event("learn.done", promoted=1.0), samples.event("learn.done")
    stores.events.append([samples.event("round"), samples.event("paused"), promoted, idle])
    stores.events.append([samples.event("certificate.short", OTHER)])

    # Then they are noticed in order, as they are in the history
    found = stores.events.notices(10)
    assert [(each.kind.value, each.event.job_id, each.event.seq) for each in found] == [
        ("job.paused", samples.JOB, 2),
        ("model.promoted", samples.JOB, 3),
        ("job.goal_at_risk", OTHER, 1),
    ]
    assert found[1].event == replace(promoted, seq=3)
    assert stores.events.notices(2) == found[:2]

    # When some are dropped
    stores.events.drop_notices(found[:2])
    stores.events.drop_notices(found[:1])

    # Then the others stay, and the history as well
    assert stores.events.notices(10) == found[2:]
    assert stores.events.newest(samples.JOB) == 4
