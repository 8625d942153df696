"""The crowd's side: workers, leases, answers, and the columns answers are read back in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from cluster.domain.ids import JobId, KeyId, Position, ShardId, UnixSeconds, WorkerId

WorkerKind = Literal["human", "llm", "model"]

Purpose = Literal["label", "audit"]
"""Why a worker is asked: towards the item's label, or as an independent check of it."""

PURPOSES: tuple[Purpose, ...] = ("label", "audit")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerProfile:
    """A registered worker; `owner` is the API key that may act for it, `price` is per answer."""

    worker_id: WorkerId
    owner: KeyId
    name: str
    kind: WorkerKind = "human"
    skills: frozenset[str] = frozenset()
    price: float = 0.0
    registered_at: UnixSeconds
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A run of a job's items owned by one allocator shard at a time.

    `epoch` rises with every change of owner; only the holder of the newest epoch may append.
    """

    job_id: JobId
    number: int
    first_position: Position
    items: int
    shard_id: ShardId
    epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right of one worker to answer one item until `expires_at`."""

    lease_id: int
    job_id: JobId
    partition: int
    epoch: int
    position: Position
    worker_id: WorkerId
    purpose: Purpose
    expires_at: UnixSeconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One worker's answer to one item; `label` is a code of the job's label set."""

    job_id: JobId
    position: Position
    worker_id: WorkerId
    label: int
    purpose: Purpose
    price: float
    answered_at: UnixSeconds
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTotals:
    """What one worker has given and earned, over all jobs.

    Audits count as any other answer and are not told apart: a worker must not learn which of its
    answers they were. The times are None before the first answer.
    """

    answers: int = 0
    earned: float = 0.0
    first_answered_at: UnixSeconds | None = None
    last_answered_at: UnixSeconds | None = None

    @classmethod
    def by_worker(cls, answers: "AnswerColumns") -> Mapping[WorkerId, Self]:
        """Return what each worker gives in these answers."""
        given: dict[WorkerId, Self] = {}
        for worker, price, at in zip(
            answers.workers.tolist(),
            answers.prices.tolist(),
            answers.answered_at.tolist(),
            strict=True,
        ):
            one = cls(answers=1, earned=price, first_answered_at=at, last_answered_at=at)
            before = given.get(answers.worker_ids[worker])
            given[answers.worker_ids[worker]] = one if before is None else before.plus(one)
        return given

    def plus(self, more: Self) -> Self:
        """Return the totals of this and of what came besides."""
        first = (self.first_answered_at, more.first_answered_at)
        last = (self.last_answered_at, more.last_answered_at)
        return replace(
            self,
            answers=self.answers + more.answers,
            earned=self.earned + more.earned,
            first_answered_at=min((at for at in first if at is not None), default=None),
            last_answered_at=max((at for at in last if at is not None), default=None),
        )


@dataclass(frozen=True, slots=True, eq=False)
class AnswerColumns:
    """Answers of one job as flat arrays of equal length, in log order.

    `workers` indexes `worker_ids`; `audit` is True for answers with purpose "audit".
    """

    seq: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    workers: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int16]
    audit: npt.NDArray[np.bool_]
    prices: npt.NDArray[np.float64]
    answered_at: npt.NDArray[np.float64]
    durations_s: npt.NDArray[np.float64]
    worker_ids: tuple[WorkerId, ...]

    def __len__(self) -> int:
        return len(self.positions)

    def rows(self, chosen: npt.NDArray[np.intp]) -> Self:
        """Return some of the answers, by row."""
        return replace(
            self,
            seq=self.seq[chosen],
            positions=self.positions[chosen],
            workers=self.workers[chosen],
            labels=self.labels[chosen],
            audit=self.audit[chosen],
            prices=self.prices[chosen],
            answered_at=self.answered_at[chosen],
            durations_s=self.durations_s[chosen],
        )

    @classmethod
    def of(cls, answers: Sequence[Answer], first_seq: int = 1) -> Self:
        """Return answers as columns, numbered from `first_seq`."""
        worker_ids = tuple(dict.fromkeys(answer.worker_id for answer in answers))
        index = {worker_id: i for i, worker_id in enumerate(worker_ids)}
        return cls(
            seq=np.arange(first_seq, first_seq + len(answers), dtype=np.int64),
            positions=np.array([a.position for a in answers], dtype=np.int64),
            workers=np.array([index[a.worker_id] for a in answers], dtype=np.int32),
            labels=np.array([a.label for a in answers], dtype=np.int16),
            audit=np.array([a.purpose == "audit" for a in answers], dtype=np.bool_),
            prices=np.array([a.price for a in answers], dtype=np.float64),
            answered_at=np.array([a.answered_at for a in answers], dtype=np.float64),
            durations_s=np.array([a.duration_s for a in answers], dtype=np.float64),
            worker_ids=worker_ids,
        )
