from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from allocation.policy import Floats, information_gain
from allocation.ports import Offer
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
