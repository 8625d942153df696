"""Who gets a runner: the heavy sooner, the light at last, the paused only to be quieted."""

from dataclasses import replace

from cluster.domain.ids import JobId
from cluster.domain.jobs import Amendment, Budget, Job
from serve_apps.jobs.turns import next_in_turn
from tests.conformance import samples

NOW = 1_000.0


def waiting(number: int, *, since_s: float, weight: float = 1.0) -> Job:
    terms = Amendment(weight=weight, budget=Budget())
    return replace(samples.job(number), created_at=NOW - since_s, amendment=terms)


def in_turn(*jobs: Job, running: str = "", held: str = "") -> list[str]:
    busy = {JobId(name) for name in running.split()}, {JobId(name) for name in held.split()}
    return list(next_in_turn(jobs, NOW, running=busy[0], held=busy[1]))


def test_of_equals_the_oldest_goes_first() -> None:
    jobs = (waiting(1, since_s=5.0), waiting(2, since_s=9.0), waiting(3, since_s=7.0))

    assert in_turn(*jobs) == ["job-0002", "job-0003", "job-0001"]


def test_who_weighs_twice_waits_half_as_long() -> None:
    light, heavy = waiting(1, since_s=10.0), waiting(2, since_s=4.0, weight=2.0)

    assert in_turn(light, heavy) == ["job-0001", "job-0002"]
    assert in_turn(light, replace(heavy, created_at=NOW - 6.0)) == ["job-0002", "job-0001"]


def test_a_job_that_runs_is_not_run_twice() -> None:
    cancelled = replace(waiting(1, since_s=5.0), cancel_requested=True)

    assert in_turn(cancelled, waiting(2, since_s=1.0), running="job-0001") == ["job-0002"]


def test_a_paused_job_is_run_once_to_hold_its_crowd_before_all_others() -> None:
    paused = replace(waiting(1, since_s=0.0), paused=True)
    busy = waiting(2, since_s=50.0, weight=9.0)

    assert in_turn(busy, paused) == ["job-0001", "job-0002"]
    assert in_turn(busy, paused, held="job-0001") == ["job-0002"]


def test_a_held_job_is_run_to_be_cancelled() -> None:
    cancelled = replace(waiting(1, since_s=0.0), paused=True, cancel_requested=True)

    assert in_turn(cancelled, held="job-0001") == ["job-0001"]
