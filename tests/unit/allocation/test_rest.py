"""Who rests, for how long, and how much everybody may still answer before."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from allocation.campaign import Campaign
from allocation.commands import Claim
from allocation.purse import amounts
from allocation.rest import HOUR_S, TOLD_EVERY_S, Rests, shared
from cluster.domain.ids import JobId, ShardId, WorkerId
from cluster.domain.jobs import CrowdTerms
from cluster.domain.work import AnswerColumns, Partition
from tests.unit.allocation.worlds import (
    ITEMS,
    JOB,
    ManualClock,
    answer,
    job,
    partition,
    shard,
    snapshot,
    stores_with,
    submit,
    worker,
)

WHOLE = Partition(job_id=JOB, number=0, first_position=0, items=ITEMS, shard_id=ShardId(0))


def paused(given: Campaign) -> frozenset[WorkerId]:
    return given.snapshot(WHOLE, amounts(100, inf), audits_only=False).paused_workers


def test_who_answers_much_rests_until_the_hour_is_over() -> None:
    # Given a limit of three answers an hour, one worker at it and one below
    spec = replace(job().spec, crowd=CrowdTerms(worker_hour_answers_max=3))
    given = Campaign(spec, ITEMS, trainings_max=0)
    given.absorb(
        AnswerColumns.of(
            [answer(position, 0, 1, at=100.0 * position) for position in range(3)]
            + [answer(position, 0, 2, at=100.0 * position) for position in range(2)]
        )
    )
    given.refit()
    # When time passes, then the one rests, and is welcome again once an answer is an hour old
    assert given.note_time(300.0)
    assert paused(given) == {WorkerId("w1")}
    assert not given.note_time(300.0 + TOLD_EVERY_S - 1.0)
    assert given.note_time(HOUR_S - 1.0)
    assert paused(given) == {WorkerId("w1")}
    assert given.note_time(HOUR_S)
    assert paused(given) == frozenset()


def test_nobody_tires_without_a_limit() -> None:
    answers, unlimited = AnswerColumns.of([answer(position, 0, 1) for position in range(100)]), None

    rests = Rests(unlimited)

    assert not rests.look(answers, 0.0)
    assert not rests.tired
    assert rests.turns(answers, []) is None is shared(None, 0.5)


def test_every_partition_may_ask_its_share_of_what_is_left_of_the_hour() -> None:
    given = AnswerColumns.of([answer(0, 0, 1, at=100.0), answer(1, 0, 1, at=200.0)])
    rests = Rests(5)
    rests.look(given, HOUR_S + 150.0)

    left = rests.turns(given, [WorkerId("w2"), WorkerId("w1")])

    assert left is not None
    assert left.tolist() == [5, 4, 5]
    part = shared(left, 0.3)
    assert part is not None
    assert part.tolist() == [2, 2, 2]


def test_a_matching_of_many_jobs_counts_what_it_gives_itself() -> None:
    # Given a job in which nobody may be asked more than once, and another without a limit
    other = JobId("job-2")
    stores = stores_with(job(), job(other))
    stores.partitions.add([partition(ITEMS), partition(2, other)])
    service = shard(stores, ManualClock())
    for job_id in (JOB, other):
        service.open(job_id, 0)
    service.publish(replace(snapshot(ITEMS), turns=np.array([1], dtype=np.int64)))
    service.publish(snapshot(2, other))

    offers = service.assign([worker("ann"), worker("bob")], [5, 5])

    assert [sum(each.job_id == JOB for each in found) for found in offers] == [1, 1]


@pytest.mark.parametrize("way", ["claim", "claim together", "assign"])
def test_a_shard_leases_no_more_than_is_left_before_a_rest(way: str) -> None:
    # Given a snapshot that leaves ann three questions, and anybody else two
    stores = stores_with(job())
    stores.partitions.add([partition(ITEMS)])
    service = shard(stores, ManualClock())
    service.open(JOB, 0)
    turns = np.array([3, 2], dtype=np.int64)
    known = replace(snapshot(ITEMS), worker_ids=(WorkerId("ann"),), turns=turns)
    service.publish(replace(known, log_confusion=known.pooled_log_confusion[None]))
    ann, bob = worker("ann"), worker("bob")

    def offered(count: int) -> tuple[int, ...]:
        if way == "assign":
            found = service.assign([ann, bob], [count, count])
        elif way == "claim":
            found = (service.claim(ann, count), service.claim(bob, count))
        else:
            found = service.claim_all(
                [Claim(worker=ann, count=count), Claim(worker=bob, count=count)]
            )
        return tuple(map(len, found))

    # When they take all they get, then leases and answers both count
    assert offered(10) == (3, 2)
    assert offered(10) == (0, 0)
    for who in (ann, bob):
        for offer in service.held(who, 10):
            assert submit(service, who, offer).error is None
    assert offered(10) == (0, 0)
    # Until the next snapshot, which knows these answers
    service.publish(
        replace(known, log_confusion=known.pooled_log_confusion[None], round=2, answers_counted=5)
    )
    assert offered(1) == (1, 1)
