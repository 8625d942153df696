"""What can break: shards that die at any moment, and a log whose replies get lost."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from allocation.commands import Claim
from allocation.ports import (
    EVERY_JOB,
    Batch,
    Demand,
    Extension,
    Offer,
    Outcome,
    PartitionReport,
    Submission,
    TruthSnapshot,
)
from allocation.service import ShardService
from allocation.settlement import Request
from allocation.terms import Rules
from cluster.domain.ids import JobId, Position, ShardId, WorkerId
from cluster.domain.work import AnswerColumns, Partition, WorkerProfile, WorkerTotals
from cluster.errors import ShardUnavailable, StoreBusy
from cluster.ports import AnswerLog, Stores

SECRET = b"simulation".ljust(32, b".")

Reply = TypeVar("Reply")


class Clock:
    """Virtual time."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def now(self) -> float:
        return self.time


class Crash(Exception):
    """The process died here; whoever called gets no reply."""


class FaultyLog:
    """An answer log before and after whose writes things go wrong, `fault_share` of the time.

    `meanwhile` is what else happens in the shard while it waits for a write.
    """

    def __init__(self, log: AnswerLog, rng: np.random.Generator) -> None:
        self._log, self._rng = log, rng
        self.fault_share = 0.0
        self.meanwhile: Callable[[], None] = lambda: None

    def append(self, fence: Partition, answers: AnswerColumns) -> int:
        self.meanwhile()
        self._perhaps_fail()
        log_end = self._log.append(fence, answers)
        self._perhaps_fail()
        self.meanwhile()
        return log_end

    def read(self, job_id: JobId, after_seq: int, limit: int) -> AnswerColumns:
        return self._log.read(job_id, after_seq, limit)

    def find(
        self, job_id: JobId, slots: Sequence[tuple[Position, WorkerId]]
    ) -> tuple[int | None, ...]:
        return self._log.find(job_id, slots)

    def totals(self, worker_id: WorkerId) -> WorkerTotals:
        return self._log.totals(worker_id)

    def _perhaps_fail(self) -> None:
        drawn = self._rng.random()
        if drawn < self.fault_share / 2:
            raise Crash
        if drawn < self.fault_share:
            raise StoreBusy("append")


class Node:
    """A shard whose process may be dead; it is a `Shard` to its callers.

    `ghost` is the process of before the last crash: still alive, and not aware of its successor.
    """

    def __init__(self, shard_id: ShardId, stores: Stores, clock: Clock, rules: Rules) -> None:
        self.shard_id = shard_id
        self._stores, self._clock, self._rules = stores, clock, rules
        self.service: ShardService | None = None
        self.ghost: ShardService | None = None
        self.starts = 0

    def start(self) -> None:
        """Begin a new process, whether or not the old one is dead."""
        self.ghost = self.service or self.ghost
        self.starts += 1
        service = ShardService(self.shard_id, self._stores, self._clock, SECRET, self._rules)
        service.recover()
        self.service = service

    def crash(self) -> None:
        """Lose the process and all it had in memory."""
        self.service = None

    def claim(self, worker: WorkerProfile, count: int) -> tuple[Offer, ...]:
        return self._call(lambda service: service.claim(worker, count))

    def claim_all(self, claims: Sequence[Claim]) -> tuple[tuple[Offer, ...], ...]:
        return self._call(lambda service: service.claim_all(claims))

    def assign(
        self, workers: Sequence[WorkerProfile], counts: Sequence[int], batch: Batch = EVERY_JOB
    ) -> tuple[tuple[Offer, ...], ...]:
        return self._call(lambda service: service.assign(workers, counts, batch))

    def held(self, worker: WorkerProfile, count: int) -> tuple[Offer, ...]:
        return self._call(lambda service: service.held(worker, count))

    def answer_all(self, requests: Sequence[Request]) -> tuple[tuple[Outcome, ...], ...]:
        return self._call(lambda service: service.answer_all(requests))

    def answer(
        self, worker: WorkerProfile, submissions: Sequence[Submission]
    ) -> tuple[Outcome, ...]:
        return self._call(lambda service: service.answer(worker, submissions))

    def release(self, worker: WorkerProfile, tokens: Sequence[str]) -> int:
        return self._call(lambda service: service.release(worker, tokens))

    def heartbeat(self, worker: WorkerProfile, tokens: Sequence[str]) -> tuple[Extension, ...]:
        return self._call(lambda service: service.heartbeat(worker, tokens))

    def open(self, job_id: JobId, partition: int) -> None:
        self._call(lambda service: service.open(job_id, partition))

    def publish(self, snapshot: TruthSnapshot) -> PartitionReport:
        return self._call(lambda service: service.publish(snapshot))

    def reports(self, job_id: JobId) -> tuple[PartitionReport, ...]:
        return self._call(lambda service: service.reports(job_id))

    def demands(self) -> tuple[Demand, ...]:
        return self._call(lambda service: service.demands())

    def hold(self, job_id: JobId) -> None:
        self._call(lambda service: service.hold(job_id))

    def close(self, job_id: JobId, partition: int | None = None) -> None:
        self._call(lambda service: service.close(job_id, partition))

    def _call(self, call: Callable[[ShardService], Reply]) -> Reply:
        if self.service is None:
            raise ShardUnavailable(self.shard_id)
        try:
            return call(self.service)
        except Crash:
            self.crash()
            raise ShardUnavailable(self.shard_id) from None
