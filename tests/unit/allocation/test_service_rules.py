"""Whom a shard asks: reviewers, bounds of an item, and workers who tell nothing."""

from dataclasses import replace

import numpy as np

from allocation.service import ShardService
from cluster.domain.jobs import CrowdTerms
from tests.unit.allocation.worlds import (
    ITEMS,
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


def test_reviewers_audit_and_do_nothing_else(clock: ManualClock) -> None:
    reviewed = job(crowd=CrowdTerms(audit_skills=frozenset({"review"})))
    stores = stores_with(reviewed)
    stores.partitions.add([partition(ITEMS)])
    service = shard(stores, clock)
    service.recover()
    service.publish(audited(snapshot(ITEMS), [1, 2]))

    by_reviewer = service.claim(worker("rae", skills=["review"]), ITEMS)
    by_others = service.claim(worker("ann"), ITEMS)

    assert {(offer.position, offer.purpose) for offer in by_reviewer} == {
        (1, "audit"),
        (2, "audit"),
    }
    assert {offer.purpose for offer in by_others} == {"label"}


def test_a_snapshot_bounds_the_answers_of_an_item(service: ShardService) -> None:
    service.publish(replace(snapshot(ITEMS), label_answers_max=2))

    taken = 0
    for number in range(5):
        offers = service.claim(worker(f"w{number}"), ITEMS)
        taken += sum(submit(service, worker(f"w{number}"), found).error is None for found in offers)

    assert taken == 2 * ITEMS


def test_a_worker_who_tells_nothing_is_not_asked(service: ShardService) -> None:
    guesses = np.log(np.full((1, 3, 3), 1 / 3)).astype(np.float32)
    known = replace(snapshot(ITEMS), worker_ids=(worker("eve").worker_id,), log_confusion=guesses)
    service.publish(replace(known, worth_ratio_min=0.1))

    assert service.claim(worker("eve"), 1) == ()
    assert len(service.claim(worker("ann"), 1)) == 1
