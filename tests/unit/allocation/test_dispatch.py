from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from allocation.policy import Floats, information_gain
from allocation.ports import Batch, Offer
from allocation.service import ShardService
from allocation.terms import Rules
from cluster.domain.ids import JobId
from cluster.domain.jobs import CrowdTerms
from tests.unit.allocation.worlds import (
    JOB,
    ManualClock,
    audited,
    job,
    partition,
    shard,
    snapshot,
    stores_with,
    submit,
    worker,
)

OTHER = JobId("job-2")


def test_many_workers_are_asked_at_once_and_nobody_twice() -> None:
    # Given twenty workers, some of whom have answered before
    service = opened(items=60)
    crew = [worker(f"w{number}") for number in range(20)]
    for who in crew[:5]:
        for offer in service.claim(who, 4):
            submit(service, who, offer)

    # When they are assigned work, again and again
    asked: Counter[tuple[str, int]] = Counter()
    for _ in range(3):
        for who, offers in zip(crew, service.assign(crew, [3] * 20), strict=True):
            asked.update((who.worker_id, offer.position) for offer in offers)
            for offer in offers:
                assert submit(service, who, offer).error is None

    # Then everybody had work, each item once
    assert len({who for who, _ in asked}) == 20
    assert max(asked.values()) == 1


def test_no_item_has_more_leases_than_it_may() -> None:
    service = opened(items=10, crowd=CrowdTerms(answers_per_item_max=1))
    crew = [worker(f"w{number}") for number in range(8)]

    offers = [offer for found in service.assign(crew, [5] * 8) for offer in found]

    assert len({offer.position for offer in offers}) == len(offers) == 10


def test_each_is_asked_what_only_they_know() -> None:
    # Given two experts, each for the pair of labels that half of the items waver between
    service = opened(items=40, publish=False)
    prior = np.full((40, 3), 1e-4, dtype=np.float32)
    prior[:20, [0, 1]], prior[20:, [1, 2]] = 0.5, 0.5
    know = np.stack([expert(0), expert(2)])
    known = replace(
        snapshot(40),
        log_prior=np.log(prior / prior.sum(axis=1, keepdims=True)),
        worker_ids=(worker("first").worker_id, worker("second").worker_id),
        log_confusion=know,
    )
    assert information_gain(known.log_prior[:1], know[0]) > information_gain(
        known.log_prior[:1], know[1]
    )
    service.publish(known)

    first, second = service.assign([worker("first"), worker("second")], [20, 20])

    assert all(offer.position < 20 for offer in first)
    assert all(offer.position >= 20 for offer in second)
    assert len(first) == len(second) == 20


def test_what_a_claim_may_not_give_is_not_assigned() -> None:
    crowd = CrowdTerms(required_skills=frozenset({"vet"}))
    service = opened(items=50, crowd=crowd, rules=Rules(leases_per_worker_max=6))
    unskilled, skilled = worker("u"), worker("s", skills=["vet"])
    paused = replace(worker("p", skills=["vet"]), paused=True)

    found = service.assign([unskilled, skilled, paused], [10, 10, 10])

    assert [len(offers) for offers in found] == [0, 6, 0]
    assert [len(offers) for offers in service.assign([skilled], [10])] == [0]


def test_the_budget_holds() -> None:
    service = opened(items=50, publish=False)
    service.publish(replace(snapshot(50), answers_left=7))

    found = service.assign([worker("a"), worker("b")], [10, 10])

    assert sum(len(offers) for offers in found) == 7


def test_audits_take_turns_with_labels() -> None:
    service = opened(items=50, publish=False)
    service.publish(audited(snapshot(50), range(30)))

    found = service.assign([worker("a"), worker("b")], [10, 10])

    purposes = Counter(offer.purpose for offers in found for offer in offers)
    assert purposes == {"label": 10, "audit": 10}


def test_audits_that_are_ahead_wait_for_their_turn() -> None:
    # Given a partition whose labels were closed while audits went out, and are open again
    service = opened(items=50, publish=False)
    shut = replace(audited(snapshot(50), range(30)), final=np.ones(50, dtype=np.bool_))
    service.publish(shut)
    service.assign([worker("a")], [20])
    service.publish(replace(shut, round=2, final=np.zeros(50, dtype=np.bool_)))

    (found,) = service.assign([worker("b")], [10])

    assert purposes_of(found) == {"label"}


def test_where_labels_are_good_enough_only_audits_are_asked() -> None:
    service = opened(items=50, publish=False)
    service.publish(replace(audited(snapshot(50), range(8)), goal_error=1.0))

    found = service.assign([worker("a"), worker("b")], [6, 6])

    offers = [offer for each in found for offer in each]
    assert purposes_of(offers) == {"audit"}
    assert sorted(offer.position for offer in offers) == list(range(8))


def test_a_worker_who_comes_twice_is_served_once() -> None:
    service = opened(items=50)

    first, again = service.assign([worker("a"), worker("a")], [3, 3])

    assert (len(first), len(again)) == (3, 0)


def test_reviewers_audit_and_nobody_else() -> None:
    crowd = CrowdTerms(audit_skills=frozenset({"review"}))
    service = opened(items=50, crowd=crowd, publish=False)
    service.publish(audited(snapshot(50), range(30)))

    reviewed, labelled = service.assign([worker("r", skills=["review"]), worker("l")], [9, 9])

    assert purposes_of(reviewed) == {"audit"}
    assert purposes_of(labelled) == {"label"}


def test_jobs_share_the_crowd_by_their_weights() -> None:
    # Given two jobs, one of three times the weight
    stores = stores_with(job(), job(OTHER, weight=3.0))
    service = shard(stores, ManualClock())
    for job_id in (JOB, OTHER):
        stores.partitions.add([partition(200, job_id)])
        service.open(job_id, 0)
        service.publish(snapshot(200, job_id))
    crew = [worker(f"w{number}") for number in range(10)]

    offers = [offer for found in service.assign(crew, [8] * 10) for offer in found]

    granted = Counter(offer.job_id for offer in offers)
    assert granted.total() == 80
    assert abs(granted[OTHER] - 60) <= 1


def test_what_one_job_cannot_use_the_other_gets() -> None:
    stores = stores_with(job(), job(OTHER, weight=3.0))
    service = shard(stores, ManualClock())
    for job_id, items in ((JOB, 200), (OTHER, 5)):
        stores.partitions.add([partition(items, job_id)])
        service.open(job_id, 0)
        service.publish(snapshot(items, job_id))

    offers = [
        offer for found in service.assign([worker("a"), worker("b")], [20, 20]) for offer in found
    ]

    granted = Counter(offer.job_id for offer in offers)
    assert granted[OTHER] == 5
    assert granted[JOB] == 35


def test_a_batch_of_one_job_asks_of_no_other() -> None:
    # Given two jobs on a shard
    stores = stores_with(job(), job(OTHER))
    service = shard(stores, ManualClock())
    for job_id in (JOB, OTHER):
        stores.partitions.add([partition(50, job_id)])
        service.open(job_id, 0)
        service.publish(snapshot(50, job_id))

    # When workers are assigned work of one of them
    found = service.assign([worker("a"), worker("b")], [10, 10], Batch(job_id=OTHER))

    # Then all is of that one, and it is counted towards its share like any claim
    assert {offer.job_id for offers in found for offer in offers} == {OTHER}
    assert [len(offers) for offers in found] == [10, 10]
    assert {offer.job_id for offer in service.claim(worker("c"), 15)} == {JOB}


def test_where_waiting_costs_who_is_fast_gets_more_and_who_is_free_first() -> None:
    # Given three workers of whom one takes ten times as long, and one has a queue already
    service = opened(items=60, publish=False)
    crew = [worker("fast"), worker("slow"), worker("busy")]
    who = tuple(found.worker_id for found in crew)
    known = np.repeat(snapshot(60).pooled_log_confusion[None], 3, axis=0)
    told = replace(
        snapshot(60),
        worker_ids=who,
        log_confusion=known,
        seconds=np.array([6.0, 60.0, 6.0, 30.0], dtype=np.float32),
        answers_left=40,
    )
    service.publish(told)
    service.claim(crew[2], 10)

    # When more room is offered than there are questions to ask
    found = service.assign(crew, [30, 30, 30], Batch(wait_price=0.001))

    # Then nobody's answers are waited for in vain
    fast, slow, busy = (len(offers) for offers in found)
    assert fast + slow + busy == 30
    assert fast > busy > slow


def test_a_worker_who_is_yet_to_be_proven_gets_gold_among_the_rest() -> None:
    # Given gold that may be shown to three more workers, and one worker who is proven
    service = opened(items=60, publish=False)
    told = replace(
        snapshot(60),
        final=np.arange(60) < 1,
        gold=np.array([0]),
        gold_exposures_max=1,
        label_answers_max=2,
        proven_workers=frozenset({worker("old").worker_id}),
    )
    service.publish(told)
    crew = [worker("old"), *(worker(f"new{number}") for number in range(6))]

    # When all are assigned work
    found = service.assign(crew, [4] * 7)

    # Then so many of the others have it in the place of one of their questions, and nobody twice
    shown = [sum(offer.position == 0 for offer in offers) for offers in found]
    assert shown[0] == 0
    assert sorted(shown[1:]) == [0, 0, 0, 1, 1, 1]
    assert [len(offers) for offers in found] == [4] * 7


def test_no_lease_tells_by_its_place_what_it_is_for() -> None:
    service = opened(items=50, publish=False)
    service.publish(audited(snapshot(50), range(20, 40)))

    (offers,) = service.assign([worker("a")], [40])

    assert [offer.position for offer in offers] == sorted(offer.position for offer in offers)
    assert purposes_of(offers) == {"label", "audit"}


def test_what_a_worker_holds_is_told_until_it_is_answered_or_over() -> None:
    # Given a worker who was assigned four questions, and claimed two more
    service = opened(items=50)
    ann = worker("ann")
    (assigned,) = service.assign([ann], [4])
    claimed = service.claim(ann, 2)
    offers = sorted([*assigned, *claimed], key=lambda offer: offer.position)

    # When the worker asks what it holds, it is just that, or as many as wanted
    assert list(service.held(ann, 100)) == offers
    assert list(service.held(ann, 3)) == offers[:3]
    assert service.held(worker("bob"), 100) == ()

    # Then what is answered or given back is not held any more, nor what has run out
    assert submit(service, ann, offers[0]).error is None
    assert service.release(ann, [offers[1].token]) == 1
    assert list(service.held(ann, 100)) == offers[2:]
    clock_of(service).time = offers[2].expires_at
    assert service.held(ann, 100) == ()


def clock_of(service: ShardService) -> ManualClock:
    clock = service._clock
    assert isinstance(clock, ManualClock)
    return clock


def opened(
    *,
    items: int,
    crowd: CrowdTerms | None = None,
    rules: Rules | None = None,
    publish: bool = True,
) -> ShardService:
    stores = stores_with(job(crowd=crowd))
    stores.partitions.add([partition(items)])
    service = shard(stores, ManualClock(), rules)
    service.open(JOB, 0)
    if publish:
        service.publish(snapshot(items))
    return service


def expert(label: int) -> Floats:
    """Return the confusion of a worker who knows one label from the rest, and no more."""
    confusion = np.full((3, 3), 0.495)
    confusion[label], confusion[:, label] = 0.01, 0.01
    confusion[label, label] = 0.98
    logs: Floats = np.log(confusion / confusion.sum(axis=1, keepdims=True)).astype(np.float32)
    return logs


def purposes_of(offers: Sequence[Offer]) -> set[str]:
    return {offer.purpose for offer in offers}
