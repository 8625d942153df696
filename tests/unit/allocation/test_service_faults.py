"""One shard whose log does not answer, or whose partition another shard took."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cluster.domain.ids import JobId, Position, WorkerId
from cluster.domain.work import AnswerColumns, Partition, WorkerTotals
from cluster.errors import (
    AlreadyAnswered,
    StoreBusy,
)
from cluster.ports import AnswerLog, Stores
from tests.unit.allocation.worlds import (
    ITEMS,
    JOB,
    ManualClock,
    partition,
    shard,
    snapshot,
    stored,
    submit,
    worker,
)


class LossyLog:
    """An answer log that stores the next answers and then loses its reply, if told to.

    Or it stores nothing, where it does not `store` what it loses.
    """

    def __init__(self, log: AnswerLog) -> None:
        self._log = log
        self.read_after: list[int] = []
        self.loses: Exception | None = None
        self.stores = True

    def append(self, fence: Partition, answers: AnswerColumns) -> int:
        lost, self.loses = self.loses, None
        stores = lost is None or self.stores
        log_end = self._log.append(fence, answers) if stores else 0
        if lost is not None:
            raise lost
        return log_end

    def read(self, job_id: JobId, after_seq: int, limit: int) -> AnswerColumns:
        self.read_after.append(after_seq)
        return self._log.read(job_id, after_seq, limit)

    def find(
        self, job_id: JobId, slots: Sequence[tuple[Position, WorkerId]]
    ) -> tuple[int | None, ...]:
        return self._log.find(job_id, slots)

    def totals(self, worker_id: WorkerId) -> WorkerTotals:
        return self._log.totals(worker_id)


@pytest.mark.parametrize("lost", [StoreBusy("append"), ConnectionResetError()])
def test_an_answer_whose_reply_was_lost_is_found_in_the_log(
    stores: Stores, clock: ManualClock, lost: Exception
) -> None:
    log = LossyLog(stores.answers)
    service = shard(replace(stores, answers=log), clock)
    service.open(JOB, 0)
    service.publish(replace(snapshot(ITEMS), answers_left=3, answers_seen=0))
    first, second = service.claim(worker("ann"), 2)
    log.loses = lost
    if isinstance(lost, StoreBusy):
        assert isinstance(submit(service, worker("ann"), first).error, StoreBusy)
    else:
        with pytest.raises(ConnectionResetError):
            submit(service, worker("ann"), first)

    # The budget of 3 has one answer and one lease on it: one more may go out, not two.
    assert len(service.claim(worker("bob"), 2)) == 1
    assert submit(service, worker("ann"), first).replayed
    assert isinstance(submit(service, worker("ann"), first, "dog").error, AlreadyAnswered)
    assert submit(service, worker("ann"), second).error is None
    assert len(stored(stores)) == 2


def test_what_a_shard_has_stored_itself_it_reads_no_more(
    stores: Stores, clock: ManualClock
) -> None:
    # Given a shard of one of two partitions, whose answers and another's lie in turns in the log
    stores.partitions.add([partition(ITEMS, number=1, first=ITEMS)])
    log, heir = LossyLog(stores.answers), worker("heir")
    service, other = shard(replace(stores, answers=log), clock), shard(stores, clock)
    service.open(JOB, 0)
    service.publish(snapshot(ITEMS))
    other.open(JOB, 1)
    other.publish(replace(snapshot(ITEMS), partition=1))
    for offer, foreign in zip(
        service.claim(worker("ann"), 4), other.claim(worker("bob"), 4), strict=True
    ):
        assert submit(other, worker("bob"), foreign).error is None
        assert submit(service, worker("ann"), offer).error is None

    # When the outcome of a write is not heard, though the answer is stored
    (last,) = service.claim(heir, 1)
    log.loses, log.read_after = StoreBusy("append"), []
    assert isinstance(submit(service, heir, last).error, StoreBusy)
    assert submit(other, heir, other.claim(heir, 1)[0]).error is None

    # Then it is found among those after the last write that was, and counted once
    assert submit(service, heir, last).replayed
    assert log.read_after == [8]
    assert service.reports(JOB)[0].answers == 5
    assert submit(service, worker("eve"), service.claim(worker("eve"), 1)[0]).error is None
    assert service.reports(JOB)[0].answers == 6


def test_a_shard_that_lost_a_partition_does_not_take_it_back(
    stores: Stores, clock: ManualClock
) -> None:
    log = LossyLog(stores.answers)
    service = shard(replace(stores, answers=log), clock)
    service.open(JOB, 0)
    service.publish(snapshot(ITEMS))
    (offer,) = service.claim(worker("ann"), 1)
    log.loses = StoreBusy("append")
    submit(service, worker("ann"), offer)
    heir = shard(stores, clock)
    heir.open(JOB, 0)
    heir.publish(snapshot(ITEMS))

    assert service.claim(worker("bob"), 1) == ()
    (kept,) = heir.claim(worker("bob"), 1)
    assert submit(heir, worker("bob"), kept).error is None


def test_a_lease_whose_answer_could_not_be_written_runs_out_like_any_other(
    stores: Stores, clock: ManualClock
) -> None:
    # Given the only question that a budget pays for, and a write that fails
    log = LossyLog(stores.answers)
    log.stores = False
    service = shard(replace(stores, answers=log), clock)
    service.open(JOB, 0)
    service.publish(replace(snapshot(ITEMS), answers_left=1, answers_seen=0))
    (offer,) = service.claim(worker("ann"), 1)
    log.loses = StoreBusy("append")
    assert isinstance(submit(service, worker("ann"), offer).error, StoreBusy)
    # When the worker never comes back
    assert service.claim(worker("bob"), 1) == ()
    clock.time = offer.expires_at
    # Then somebody else is asked
    assert len(service.claim(worker("bob"), 1)) == 1
