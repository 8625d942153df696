"""Whom a shard asks: reviewers, bounds of an item, and workers who tell nothing."""

from dataclasses import replace

import numpy as np

from allocation.service import ShardService
from cluster.domain.ids import WorkerId
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


def test_a_worker_is_asked_where_they_tell_enough_for_their_price(service: ShardService) -> None:
    # Given a crowd whose answers cost 1 so far, and one who tells less than the others do
    less = np.log(np.full((1, 3, 3), 0.15) + 0.55 * np.eye(3)).astype(np.float32)
    known = replace(snapshot(ITEMS), worker_ids=(WorkerId("eve"),), log_confusion=less)
    service.publish(replace(known, worth_ratio_min=1.0, price_mean=1.0))

    def offered(name: str, price: float) -> int:
        return len(service.claim(worker(name, price=price), 1))

    # Then an average worker is asked at that price and not at twice as much
    assert [offered("dee", 2.0), offered("ann", 1.0)] == [0, 1]
    # And the one who tells less at a lower price alone
    assert [offered("eve", 1.0), offered("eve", 0.5)] == [0, 1]


def test_a_worker_who_tells_nothing_is_not_asked(service: ShardService) -> None:
    guesses = np.log(np.full((1, 3, 3), 1 / 3)).astype(np.float32)
    known = replace(snapshot(ITEMS), worker_ids=(worker("eve").worker_id,), log_confusion=guesses)
    service.publish(replace(known, worth_ratio_min=0.1))

    assert service.claim(worker("eve"), 1) == ()
    assert len(service.claim(worker("ann"), 1)) == 1
