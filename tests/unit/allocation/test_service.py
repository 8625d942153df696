"""One shard over memory stores: claims, answers, budgets, restarts."""

from dataclasses import replace

import numpy as np

from allocation.ports import Submission
from allocation.service import ShardService
from cluster.domain.ids import JobId
from cluster.domain.jobs import CrowdTerms
from cluster.errors import (
    AlreadyAnswered,
    LeaseExpired,
    LeaseForeign,
    LeaseInvalid,
    UnknownLabel,
)
from cluster.ports import Stores
from tests.unit.allocation.worlds import (
    ITEMS,
    JOB,
    ManualClock,
    audited,
    job,
    partition,
    shard,
    snapshot,
    stored,
    stores_with,
    submit,
    worker,
)


def test_nothing_is_offered_before_a_snapshot(service: ShardService) -> None:
    assert service.claim(worker("ann"), 5) == ()


def test_an_answer_is_stored_before_it_is_acknowledged(
    service: ShardService, stores: Stores
) -> None:
    service.publish(snapshot(ITEMS))
    (offer,) = service.claim(worker("ann"), 1)

    outcome = submit(service, worker("ann"), offer, "dog")

    assert outcome.error is None
    assert not outcome.replayed
    assert stored(stores) == [(offer.position, "ann", 1, False)]


def test_a_worker_is_never_offered_an_item_twice(service: ShardService) -> None:
    service.publish(snapshot(ITEMS))
    seen = [offer.position for _ in range(5) for offer in service.claim(worker("ann"), 4)]

    assert sorted(seen) == list(range(ITEMS))


def test_answered_items_stay_excluded_after_a_restart(
    service: ShardService, stores: Stores, clock: ManualClock
) -> None:
    service.publish(snapshot(ITEMS))
    offers = service.claim(worker("ann"), 5)
    for offer in offers:
        submit(service, worker("ann"), offer)

    reborn = shard(stores, clock)
    reborn.recover()
    reborn.publish(snapshot(ITEMS))
    rest = reborn.claim(worker("ann"), ITEMS)

    assert {found.position for found in rest}.isdisjoint(offer.position for offer in offers)
    assert len(rest) == ITEMS - 5


def test_the_same_answer_again_is_a_replay_even_after_a_restart(
    service: ShardService, stores: Stores, clock: ManualClock
) -> None:
    service.publish(snapshot(ITEMS))
    (offer,) = service.claim(worker("ann"), 1)
    submit(service, worker("ann"), offer)

    again = submit(service, worker("ann"), offer)
    reborn = shard(stores, clock)
    reborn.recover()
    after_restart = submit(reborn, worker("ann"), offer)

    assert (again.error, again.replayed) == (None, True)
    assert (after_restart.error, after_restart.replayed) == (None, True)
    assert len(stored(stores)) == 1


def test_the_same_answer_again_is_a_replay_after_its_partition_is_closed(
    service: ShardService, stores: Stores
) -> None:
    # Given one item answered and one leased when the partition moves away, or the job ends
    service.publish(snapshot(ITEMS))
    offer, open_offer = service.claim(worker("ann"), 2)
    submit(service, worker("ann"), offer)
    service.close(JOB, 0)

    # When both are sent
    again, late = (submit(service, worker("ann"), found) for found in (offer, open_offer))

    # Then what is stored is acknowledged again, and nothing else is
    assert (again.error, again.replayed) == (None, True)
    assert isinstance(late.error, LeaseExpired)
    assert isinstance(submit(service, worker("ann"), offer, "dog").error, AlreadyAnswered)
    assert isinstance(submit(service, worker("bob"), offer).error, LeaseForeign)
    assert len(stored(stores)) == 1


def test_a_token_twice_in_one_call_is_stored_once(service: ShardService, stores: Stores) -> None:
    service.publish(snapshot(ITEMS))
    (offer,) = service.claim(worker("ann"), 1)
    submission = Submission(token=offer.token, label="cat", duration_s=1.0)

    first, second = service.answer(worker("ann"), [submission, submission])

    assert (first.replayed, second.replayed) == (False, True)
    assert len(stored(stores)) == 1


def test_another_label_for_an_answered_item_is_refused(
    service: ShardService, stores: Stores
) -> None:
    service.publish(snapshot(ITEMS))
    (offer,) = service.claim(worker("ann"), 1)
    submit(service, worker("ann"), offer, "cat")

    assert isinstance(submit(service, worker("ann"), offer, "dog").error, AlreadyAnswered)
    assert stored(stores) == [(offer.position, "ann", 0, False)]


def test_what_is_wrong_with_a_submission_is_said(service: ShardService, stores: Stores) -> None:
    service.publish(snapshot(ITEMS))
    (offer,) = service.claim(worker("ann"), 1)

    assert isinstance(submit(service, worker("bob"), offer).error, LeaseForeign)
    assert isinstance(submit(service, worker("ann"), offer, "cow").error, UnknownLabel)
    forged = replace(offer, token=offer.token[:-2] + "AA")
    assert isinstance(submit(service, worker("ann"), forged).error, LeaseInvalid)
    assert stored(stores) == []


def test_a_lease_is_good_until_its_last_moment_and_not_after(
    service: ShardService, clock: ManualClock
) -> None:
    service.publish(snapshot(ITEMS))
    in_time, late = service.claim(worker("ann"), 2)

    clock.time = in_time.expires_at - 0.001
    assert submit(service, worker("ann"), in_time).error is None
    clock.time = late.expires_at
    assert isinstance(submit(service, worker("ann"), late).error, LeaseExpired)


def test_a_lease_of_an_older_epoch_is_void(
    service: ShardService, stores: Stores, clock: ManualClock
) -> None:
    service.publish(snapshot(ITEMS))
    (offer,) = service.claim(worker("ann"), 1)
    reborn = shard(stores, clock)
    reborn.recover()
    reborn.publish(snapshot(ITEMS))

    assert isinstance(submit(reborn, worker("ann"), offer).error, LeaseExpired)


def test_a_fenced_shard_can_store_nothing(
    service: ShardService, stores: Stores, clock: ManualClock
) -> None:
    service.publish(snapshot(ITEMS))
    (offer,) = service.claim(worker("ann"), 1)
    shard(stores, clock).open(JOB, 0)

    assert isinstance(submit(service, worker("ann"), offer).error, LeaseExpired)
    assert stored(stores) == []
    assert service.reports(JOB) == ()


def test_a_released_item_is_free_for_others(service: ShardService) -> None:
    service.publish(replace(snapshot(ITEMS), answers_left=1))
    (offer,) = service.claim(worker("ann"), 1)
    assert service.claim(worker("bob"), 1) == ()

    assert service.release(worker("ann"), [offer.token, offer.token, "junk"]) == 1
    assert service.release(worker("ann"), [offer.token]) == 0
    assert len(service.claim(worker("bob"), 1)) == 1
    assert isinstance(submit(service, worker("ann"), offer).error, LeaseExpired)


def test_heartbeats_keep_a_lease_but_not_for_ever(
    service: ShardService, clock: ManualClock
) -> None:
    service.publish(snapshot(ITEMS))
    (offer,) = service.claim(worker("ann"), 1)
    granted_at = clock.time
    kept = []
    while clock.time < granted_at + 100 * 120.0:
        clock.time += 100.0
        (beat,) = service.heartbeat(worker("ann"), [offer.token])
        if beat.expires_at is None:
            break
        kept.append(beat.expires_at)

    assert kept[0] == granted_at + 100.0 + 120.0
    assert max(kept) == granted_at + 10 * 120.0


def test_a_heartbeat_of_another_worker_is_void(service: ShardService) -> None:
    service.publish(snapshot(ITEMS))
    (offer,) = service.claim(worker("ann"), 1)

    assert service.heartbeat(worker("bob"), [offer.token])[0].expires_at is None


def test_the_budget_is_kept_to_the_answer(service: ShardService, stores: Stores) -> None:
    service.publish(replace(snapshot(ITEMS), answers_left=5, answers_seen=0))
    crowd = [worker(f"w{number}") for number in range(10)]
    for who in crowd:
        for offer in service.claim(who, 3):
            submit(service, who, offer)
        # A snapshot made before these answers does not give their budget back.
        service.publish(replace(snapshot(ITEMS), answers_left=5, answers_seen=0))

    assert len(stored(stores)) == 5
    assert service.reports(JOB)[0].wanted == 0


def test_labels_stop_at_the_goal_but_audits_go_on(service: ShardService) -> None:
    sure = audited(replace(snapshot(ITEMS), goal_error=1.0), [3, 4])
    service.publish(sure)

    offers = service.claim(worker("ann"), ITEMS)

    assert {(offer.position, offer.purpose) for offer in offers} == {(3, "audit"), (4, "audit")}


def test_audits_take_turns_with_labels_and_never_share_a_worker(service: ShardService) -> None:
    service.publish(audited(snapshot(ITEMS), range(6)))

    offers = service.claim(worker("ann"), 8)

    assert len({offer.position for offer in offers}) == 8
    assert [offer.purpose for offer in offers] == ["audit", "label"] * 4


def test_an_audit_item_gets_only_so_many_checks(service: ShardService, stores: Stores) -> None:
    service.publish(audited(replace(snapshot(ITEMS), goal_error=1.0), [3]))
    for number in range(8):
        for offer in service.claim(worker(f"w{number}"), 5):
            submit(service, worker(f"w{number}"), offer)

    assert [row[3] for row in stored(stores)] == [True] * 3
    assert service.reports(JOB)[0].wanted == 0


def test_paused_workers_get_nothing(service: ShardService) -> None:
    service.publish(replace(snapshot(ITEMS), paused_workers=frozenset({worker("ann").worker_id})))

    assert service.claim(worker("ann"), 1) == ()
    assert service.claim(replace(worker("bob"), paused=True), 1) == ()
    assert len(service.claim(worker("eve"), 1)) == 1


def test_a_job_asks_only_workers_with_its_skills(clock: ManualClock) -> None:
    skilled = job(crowd=CrowdTerms(required_skills=frozenset({"latin"})))
    stores = stores_with(skilled)
    stores.partitions.add([partition(ITEMS)])
    service = shard(stores, clock)
    service.recover()
    service.publish(snapshot(ITEMS))

    assert service.claim(worker("ann"), 1) == ()
    assert len(service.claim(worker("bob", skills=["latin", "greek"]), 1)) == 1


def test_a_claim_may_be_narrowed_to_eligible_items(service: ShardService) -> None:
    service.publish(audited(snapshot(ITEMS), [1, 2]))

    offers = service.claim(worker("ann"), 9, eligible={JOB: np.array([2, 5, 7, 400])})

    assert {offer.position for offer in offers} == {2, 5, 7}
    assert service.claim(worker("bob"), 9, eligible={JobId("other"): np.array([1])}) == ()


def test_an_older_snapshot_is_ignored(service: ShardService) -> None:
    service.publish(replace(snapshot(ITEMS), round=5))

    assert service.publish(replace(snapshot(ITEMS), round=4, answers_left=0)).round == 5
    assert len(service.claim(worker("ann"), 1)) == 1
    assert service.publish(replace(snapshot(ITEMS), round=6, answers_left=0)).wanted == 0
    assert service.claim(worker("bob"), 1) == ()


def test_a_closed_job_is_forgotten(service: ShardService) -> None:
    service.publish(snapshot(ITEMS))
    (offer,) = service.claim(worker("ann"), 1)
    service.close(JOB)

    assert service.claim(worker("bob"), 1) == ()
    assert isinstance(submit(service, worker("ann"), offer).error, LeaseExpired)
