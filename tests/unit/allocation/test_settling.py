"""What may happen to a shard between the decision on answers and their acknowledgement."""

from dataclasses import replace

import pytest

from allocation.ports import Offer, Submission
from allocation.service import ShardService
from allocation.settlement import Request, Settlement
from cluster.domain.work import WorkerProfile
from cluster.errors import LeaseExpired, ShardUnavailable
from cluster.ports import Stores
from tests.unit.allocation.worlds import (
    ITEMS,
    JOB,
    ManualClock,
    shard,
    snapshot,
    submit,
    worker,
)


@pytest.fixture
def service(stores: Stores, clock: ManualClock) -> ShardService:
    service = shard(stores, clock)
    service.open(JOB, 0)
    service.publish(replace(snapshot(ITEMS), answers_left=2, answers_seen=0))
    return service


def decided(service: ShardService, who: WorkerProfile, *offers: Offer) -> Settlement:
    sent = tuple(Submission(token=offer.token, label="cat", duration_s=1.0) for offer in offers)
    return service.decide_answers([Request(worker=who, submissions=sent)])


def test_a_lease_is_held_while_its_answer_is_being_written(
    service: ShardService, clock: ManualClock
) -> None:
    # Given an answer on its way to the log, and a budget that it and one more lease use up
    offers = service.claim(worker("ann"), 2)
    settlement = decided(service, worker("ann"), offers[0])

    # When its lease ends meanwhile, and the worker gives both back
    clock.time = offers[0].expires_at - 1.0
    assert service.release(worker("ann"), [offer.token for offer in offers]) == 1
    clock.time = offers[0].expires_at + 1.0

    # Then only the other one is free again, and the answer counts once it is stored
    assert len(service.claim(worker("bob"), 2)) == 1
    service.store_answers(settlement)
    service.settle_answers(settlement)
    assert settlement.writes == []
    assert settlement.replies()[0][0].error is None
    assert submit(service, worker("ann"), offers[0]).replayed
    assert service.reports(JOB)[0].answers == 1


def test_an_answer_is_kept_though_its_partition_was_closed_meanwhile(
    service: ShardService, stores: Stores
) -> None:
    (offer,) = service.claim(worker("ann"), 1)
    settlement = decided(service, worker("ann"), offer)

    service.store_answers(settlement)
    service.close(JOB)
    service.settle_answers(settlement)

    assert settlement.replies()[0][0].error is None
    assert len(stores.answers.read(JOB, 0, 10)) == 1


def test_answers_of_a_partition_lost_meanwhile_are_void_and_so_are_their_repeats(
    service: ShardService, stores: Stores, clock: ManualClock
) -> None:
    (offer,) = service.claim(worker("ann"), 1)
    settlement = decided(service, worker("ann"), offer, offer)
    shard(stores, clock).open(JOB, 0)

    service.store_answers(settlement)
    service.settle_answers(settlement)

    errors = [outcome.error for outcome in settlement.replies()[0]]
    assert [type(error) for error in errors] == [LeaseExpired, LeaseExpired]
    assert len(stores.answers.read(JOB, 0, 10)) == 0


def test_a_write_that_ended_nowhere_is_looked_up_before_anything_is_acknowledged(
    service: ShardService, stores: Stores
) -> None:
    # Given an answer that is stored, though the shard never heard so
    (offer,) = service.claim(worker("ann"), 1)
    settlement = decided(service, worker("ann"), offer)
    stores.answers.append(settlement.writes[0].fence, settlement.writes[0].taken.answers)
    service.settle_answers(settlement)
    assert isinstance(settlement.replies()[0][0].error, ShardUnavailable)

    # Then it is found, and sending it again is a replay
    assert submit(service, worker("ann"), offer).replayed
    assert service.reports(JOB)[0].answers == 1
