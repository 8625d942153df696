"""Partitions and the answer log in memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock

from cluster.domain.ids import JobId, Position, ShardId, WorkerId
from cluster.domain.work import PURPOSES, Answer, AnswerColumns, Partition, WorkerTotals
from cluster.errors import AlreadyAnswered, JobNotFound, StaleEpoch
from cluster.ports import JobStore
from cluster.stores.fencing import check_within


class MemoryPartitions:
    """A `PartitionStore` in memory."""

    def __init__(self, jobs: JobStore) -> None:
        self._lock = Lock()
        self._jobs = jobs
        self._partitions: dict[tuple[JobId, int], Partition] = {}

    def add(self, partitions: Sequence[Partition]) -> None:
        """Record partitions at epoch 0; recording one (job, number) again changes nothing."""
        with self._lock:
            for new in partitions:
                self._partitions.setdefault((new.job_id, new.number), replace(new, epoch=0))

    def acquire(self, job_id: JobId, number: int, shard_id: ShardId) -> Partition:
        """Make a shard the owner at the next epoch; raises JobNotFound for no such partition."""
        with self._lock:
            stored = self._partitions.get((job_id, number))
            if stored is None:
                raise JobNotFound(job_id)
            acquired = replace(stored, shard_id=shard_id, epoch=stored.epoch + 1)
            self._partitions[job_id, number] = acquired
            return acquired

    def owned_by(self, shard_id: ShardId) -> tuple[Partition, ...]:
        """Return a shard's partitions of unfinished jobs."""
        unfinished = {job.job_id for job in self._jobs.unfinished()}
        return tuple(
            found
            for found in self._sorted()
            if found.shard_id == shard_id and found.job_id in unfinished
        )

    def of_job(self, job_id: JobId) -> tuple[Partition, ...]:
        """Return a job's partitions by number."""
        return tuple(found for found in self._sorted() if found.job_id == job_id)

    @contextmanager
    def held(self, fence: Partition) -> Iterator[None]:
        """Keep the partition from changing hands meanwhile; raises StaleEpoch if it has."""
        with self._lock:
            stored = self._partitions.get((fence.job_id, fence.number))
            if stored is None or stored.epoch != fence.epoch:
                raise StaleEpoch(fence.job_id, fence.number, fence.epoch)
            yield

    def _sorted(self) -> list[Partition]:
        with self._lock:
            return [found for _, found in sorted(self._partitions.items())]


class MemoryAnswers:
    """An `AnswerLog` in memory."""

    def __init__(self, partitions: MemoryPartitions) -> None:
        self._lock = Lock()
        self._partitions = partitions
        self._answers: dict[JobId, list[Answer]] = {}
        self._given: dict[JobId, dict[tuple[Position, WorkerId], int]] = {}
        self._totals: dict[WorkerId, WorkerTotals] = {}

    def append(self, fence: Partition, answers: AnswerColumns) -> int:
        """Store answers of one partition, all or none; return the job's highest number then."""
        check_within(fence, answers)
        added = _answers_of(fence.job_id, answers)
        with self._partitions.held(fence), self._lock:
            given = self._given.setdefault(fence.job_id, {})
            new: dict[tuple[Position, WorkerId], int] = {}
            for answer in added:
                pair = (answer.position, answer.worker_id)
                if pair in given or pair in new:
                    raise AlreadyAnswered(answer.job_id, *pair)
                new[pair] = answer.label
            given |= new
            stored = self._answers.setdefault(fence.job_id, [])
            stored.extend(added)
            for worker_id, more in WorkerTotals.by_worker(answers).items():
                self._totals[worker_id] = self._totals.get(worker_id, WorkerTotals()).plus(more)
            return len(stored)

    def read(self, job_id: JobId, after_seq: int, limit: int) -> AnswerColumns:
        """Return up to `limit` answers numbered above `after_seq`; numbers rise within a job."""
        with self._lock:
            found = self._answers.get(job_id, [])[after_seq : after_seq + limit]
        return AnswerColumns.of(found, first_seq=after_seq + 1)

    def find(
        self, job_id: JobId, slots: Sequence[tuple[Position, WorkerId]]
    ) -> tuple[int | None, ...]:
        """Return the label code stored for each item and worker, None where there is none."""
        with self._lock:
            given = self._given.get(job_id, {})
            return tuple(given.get(slot) for slot in slots)

    def totals(self, worker_id: WorkerId) -> WorkerTotals:
        """Return what a worker has given so far."""
        with self._lock:
            return self._totals.get(worker_id, WorkerTotals())


def _answers_of(job_id: JobId, columns: AnswerColumns) -> list[Answer]:
    return [
        Answer(
            job_id=job_id,
            position=int(columns.positions[row]),
            worker_id=columns.worker_ids[columns.workers[row]],
            label=int(columns.labels[row]),
            purpose=PURPOSES[int(columns.audit[row])],
            price=float(columns.prices[row]),
            answered_at=float(columns.answered_at[row]),
            duration_s=float(columns.durations_s[row]),
        )
        for row in range(len(columns))
    ]
