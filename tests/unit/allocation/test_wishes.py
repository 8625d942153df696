"""What a job's owner may wish while its crowd works: a pause, another weight, another budget."""

from dataclasses import replace

import numpy as np
import pytest

from allocation.ports import Offer
from allocation.service import ShardService
from allocation.stage import hold_crowd
from cluster.domain.ids import JobId
from cluster.domain.jobs import Amendment, Budget, Goal, JobState
from cluster.domain.work import Partition
from cluster.errors import JobPaused, ShardUnavailable
from cluster.jobs import amend, pause, resume
from tests.unit.allocation.crowds import CrowdWorld, answers_of
from tests.unit.allocation.worlds import (
    JOB,
    SHARD,
    ManualClock,
    job,
    shard,
    snapshot,
    stores_with,
    submit,
    worker,
)

GOOD_CROWD = (0.95, 0.9, 0.9, 0.85, 0.85, 0.8, 0.9, 0.9)


def world() -> CrowdWorld:
    spec = replace(job().spec, goal=Goal(accuracy=0.9))
    given = CrowdWorld(spec, 240, GOOD_CROWD, np.random.default_rng(11))
    given.predict(accuracy=0.6)
    return given


def pause_amid_asking(given: CrowdWorld) -> None:
    """Run the stage, and pause the job when it has asked for a while."""
    stage = given.stage()

    def paused(seconds: float) -> None:
        given.wait(seconds)
        given.stores.jobs.save(pause(given.stores.jobs.load(JOB), given.clock.now()))

    stage._wait = paused
    with pytest.raises(JobPaused):
        stage.run(given.desk())
    hold_crowd(given.stores, given.shards, JOB)


def offers_to(given: CrowdWorld, name: str, count: int = 4) -> list[Offer]:
    return [offer for each in given.shards for offer in each.claim(worker(name), count)]


def test_a_paused_job_asks_nothing_new_and_takes_what_is_out() -> None:
    # Given a job that is paused while a worker holds items
    given = world()
    stage = given.stage()
    out: list[Offer] = []

    def paused(seconds: float) -> None:
        given.wait(seconds)
        out.extend(given.shards[0].claim(worker("holder"), 4))
        given.stores.jobs.save(pause(given.stores.jobs.load(JOB), given.clock.now()))

    stage._wait = paused
    with pytest.raises(JobPaused):
        stage.run(given.desk())

    # When its crowd is held
    hold_crowd(given.stores, given.shards, JOB)

    # Then nobody is offered anything and no shard claims to have a question
    assert offers_to(given, "late", 10) == []
    given.clock.time += 1.0
    assert [demand.wanted for each in given.shards for demand in each.demands()] == [0, 0]
    # But what was out is answered, stored and paid
    before = len(answers_of(given))
    outcomes = [submit(given.shards[0], worker("holder"), offer) for offer in out]
    assert out
    assert all(outcome.error is None for outcome in outcomes)
    assert len(answers_of(given)) == before + len(out)


def test_a_shard_that_restarts_while_a_job_is_paused_asks_nothing() -> None:
    given = world()
    pause_amid_asking(given)

    assert given.new_shard(0).claim(worker("late"), 10) == ()


def test_a_resumed_job_asks_on_until_its_goal() -> None:
    # Given a job that was paused in the middle of its asking
    given = world()
    pause_amid_asking(given)
    answered = len(answers_of(given))

    # When it is resumed and its stage runs again
    given.stores.jobs.save(resume(given.stores.jobs.load(JOB), given.clock.now()))
    state = given.stage().run(given.desk())

    # Then the crowd is asked again and every item is delivered once
    assert state is JobState.EXPORTING
    assert len(answers_of(given)) > answered
    assert len(given.delivered()) == given.items


class Unreachable(ShardService):
    """A shard whose process cannot be reached."""

    def __init__(self) -> None:
        """Have nothing."""

    def hold(self, _: JobId) -> None:
        raise ShardUnavailable(0)


def test_a_crowd_that_cannot_be_reached_is_not_taken_for_held() -> None:
    given = world()

    with pytest.raises(ShardUnavailable):
        hold_crowd(given.stores, (Unreachable(), given.shards[1]), JOB)


@pytest.mark.parametrize("answers_max", [60, 150])
def test_a_budget_that_is_changed_on_the_way_is_kept_to_the_answer(answers_max: int) -> None:
    # Given a job with a budget of a hundred answers, changed while its crowd works
    given = world()
    stored = given.stores.jobs.load(JOB)
    limited = Amendment(weight=1.0, budget=Budget(answers_max=100))
    given.stores.jobs.save(amend(stored, limited, given.clock.now()))
    changed = Amendment(weight=1.0, budget=Budget(answers_max=answers_max))
    stage = given.stage()

    def amended(seconds: float) -> None:
        given.clock.time += seconds
        for who, accuracy in zip(given.workers[:3], GOOD_CROWD[:3], strict=True):
            given.answer(who, accuracy, given.shards[0], count=4)
        found = given.stores.jobs.load(JOB)
        if found.amendment == limited and found.progress.answers >= 24:
            given.stores.jobs.save(amend(found, changed, given.clock.now()))

    stage._wait = amended

    # When the stage runs
    assert stage.run(given.desk()) is JobState.EXPORTING

    # Then it went by the new budget
    assert given.stores.jobs.load(JOB).amendment == changed
    assert 0.4 * answers_max < len(answers_of(given)) <= answers_max


def test_a_deadline_that_is_brought_forward_ends_the_asking() -> None:
    given = world()
    stage = given.stage()

    def amended(seconds: float) -> None:
        given.clock.time += seconds
        found = given.stores.jobs.load(JOB)
        gone = given.clock.now() - found.created_at
        terms = Amendment(weight=1.0, budget=Budget(deadline_s=gone))
        given.stores.jobs.save(amend(found, terms, given.clock.now()))

    stage._wait = amended

    assert stage.run(given.desk()) is JobState.EXPORTING


def granted(weights: dict[str, float]) -> dict[str, int]:
    """Return how many of ninety claims each of two jobs got, a snapshot telling its weight."""
    jobs = [job(), job(JobId("job-2"))]
    stores = stores_with(*jobs)
    for each in jobs:
        stores.partitions.add(
            [Partition(job_id=each.job_id, number=0, first_position=0, items=200, shard_id=SHARD)]
        )
    service = shard(stores, ManualClock())
    for each in jobs:
        service.open(each.job_id, 0)
        service.publish(replace(snapshot(200, each.job_id), weight=weights[each.job_id]))
    offers = [offer for n in range(90) for offer in service.claim(worker(f"w{n}"), 1)]
    return {each.job_id: sum(offer.job_id == each.job_id for offer in offers) for each in jobs}


def test_a_weight_that_a_snapshot_tells_is_the_share_from_then_on() -> None:
    assert granted({"job-1": 1.0, "job-2": 1.0}) == {"job-1": 45, "job-2": 45}
    assert granted({"job-1": 1.0, "job-2": 8.0}) == {"job-1": 10, "job-2": 80}
