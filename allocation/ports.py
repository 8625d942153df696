"""What the allocator's neighbours see of it: requests, replies, and two narrow protocols."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cluster.domain.ids import JobId, Position, UnixSeconds, WorkerId
from cluster.domain.work import Purpose, WorkerProfile
from cluster.errors import MusterError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An item leased to a worker; `token` is the sealed lease that an answer must bring back."""

    token: str
    job_id: JobId
    position: Position
    purpose: Purpose
    expires_at: UnixSeconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A worker's answer to an offer, by label name."""

    token: str
    label: str
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one submission.

    `error` is None where the answer is stored durably; `replayed` tells that it already was.
    """

    token: str
    error: MusterError | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A lease after a heartbeat; `expires_at` is None where it is no longer held."""

    token: str
    expires_at: UnixSeconds | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What many workers are asked at once: questions of one job, or where it is None of all.

    `wait_price` is the money that an answer loses a second until it is there.
    """

    job_id: JobId | None = None
    wait_price: float = 0.0


EVERY_JOB = Batch()


class Crowd(Protocol):
    """The worker's side of the service; every reply is in the order of its request."""

    def claim(self, worker: WorkerProfile, count: int) -> tuple[Offer, ...]:
        """Lease up to `count` items to a worker, the most valuable first; may be empty."""
        ...

    def assign(
        self, workers: Sequence[WorkerProfile], counts: Sequence[int], batch: Batch = EVERY_JOB
    ) -> tuple[tuple[Offer, ...], ...]:
        """Lease items to many workers at once, up to `counts` to each, by one matching."""
        ...

    def held(self, worker: WorkerProfile, count: int) -> tuple[Offer, ...]:
        """Return up to `count` leases that a worker holds now, however it came by them."""
        ...

    def answer(
        self, worker: WorkerProfile, submissions: Sequence[Submission]
    ) -> tuple[Outcome, ...]:
        """Take answers; each outcome says whether that answer is stored."""
        ...

    def release(self, worker: WorkerProfile, tokens: Sequence[str]) -> int:
        """Give leases back unanswered and return how many were still held."""
        ...

    def heartbeat(self, worker: WorkerProfile, tokens: Sequence[str]) -> tuple[Extension, ...]:
        """Extend leases that are still held."""
        ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TruthSnapshot:
    """What truth inference knows, published whole to the shard that owns a partition.

    `log_prior` (items, K) is what is believed of each item given the model and the partition's
    first `answers_counted` answers, row 0 being the partition's first position. `log_confusion`
    (workers, K, K) holds log P(answer | truth) as [worker, truth, answer] for `worker_ids`, who
    have answered or of whom something else is known;
    `pooled_log_confusion` (K, K) stands for anybody else. `final` marks items that take no label
    questions under this snapshot (a later one may open them again), `audit` those of the audit
    sample. An item takes at most `label_answers_max` answers towards its label. A worker is asked
    for a label only where the information expected of the answer is at least `worth_ratio_min`
    times that of the pooled worker, more where their price is above `price_mean`, what an answer
    has cost so far (0 where it cost nothing, or nobody knows), and less where it is below.
    Label questions stop when the mean expected error of the partition is at most `goal_error`.
    Nothing is asked once `answers_left` more answers (labels and audits) are taken or leased out;
    they count from the `answers_seen`-th answer of the partition, or where that is None from the
    moment of publication. Nor is anything asked at a price by which answers and leases would come
    to more than `cost_left` beyond `cost_seen`, which its answers had cost (None: at publication);
    `price_likely` is what an answer that is paid for is likely to cost (0: nobody knows).
    `gold` names items whose label is settled, by their rows: who is not among `proven_workers`
    gets one of them with each claim, as a label question like any other, while fewer than
    `gold_exposures_max` more than `label_answers_max` were given to it. `weight`
    is the job's share of the crowd from now on; None leaves it as it is. `seconds` (workers + 1,)
    is how long an answer of each takes, the last being anybody else; None where nobody knows.
    `turns` (workers + 1,) is how many more questions of the partition each may be asked, leases
    held and all answers after the first `answers_counted` included; None where there is no limit.
    """

    job_id: JobId
    partition: int
    round: int
    worker_ids: tuple[WorkerId, ...]
    log_confusion: Floats
    pooled_log_confusion: Floats
    paused_workers: frozenset[WorkerId]
    log_prior: Floats
    final: npt.NDArray[np.bool_]
    audit: npt.NDArray[np.bool_]
    goal_error: float
    answers_left: int
    answers_seen: int | None = None
    answers_counted: int = 0
    label_answers_max: int = 7
    worth_ratio_min: float = 0.0
    price_mean: float = 0.0
    cost_left: float = inf
    cost_seen: float | None = None
    price_likely: float = 0.0
    gold: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    gold_exposures_max: int = 10
    proven_workers: frozenset[WorkerId] = frozenset()
    weight: float | None = None
    seconds: Floats | None = None
    turns: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionReport:
    """How a partition stands; `round` is that of the last snapshot it was given, -1 for none.

    `wanted` counts questions the policy would still ask (label and audit), `leased` those out
    now. A partition with neither has nothing more to ask under its snapshot; `open` is what it
    would ask if its budget had no end, `audits` how many of these are audits. `cost` is that of its
    answers and leases together.
    """

    job_id: JobId
    partition: int
    round: int
    answers: int
    leased: int
    wanted: int
    open: int
    audits: int
    cost: float
    expected_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a partition would still ask, and of whom: `labels` and `audits` count questions."""

    job_id: JobId
    partition: int
    labels: int
    audits: int
    required_skills: frozenset[str] = frozenset()
    audit_skills: frozenset[str] = frozenset()

    @property
    def wanted(self) -> int:
        """How many questions there are, for whomever."""
        return self.labels + self.audits

    def open_to(self, worker: WorkerProfile) -> int:
        """Return how many of the questions are for a worker of these skills.

        Where a job names reviewers they audit, and the others label; else everybody does both.
        """
        if not self.required_skills <= worker.skills:
            return 0
        if not self.audit_skills:
            return self.wanted
        return self.audits if self.audit_skills <= worker.skills else self.labels


class Shard(Crowd, Protocol):
    """One allocator shard: the worker's side, and what the asking stage and the router need."""

    def open(self, job_id: JobId, partition: int) -> None:
        """Take ownership of a partition and rebuild its state from the stores; idempotent."""
        ...

    def publish(self, snapshot: TruthSnapshot) -> PartitionReport:
        """Use a newer snapshot from now on; an older round than the present one is ignored."""
        ...

    def reports(self, job_id: JobId) -> tuple[PartitionReport, ...]:
        """Return how the job's partitions on this shard stand, after expiring leases."""
        ...

    def demands(self) -> tuple[Demand, ...]:
        """Return what each partition on the shard would still ask, as it was a second ago."""
        ...

    def hold(self, job_id: JobId) -> None:
        """Lease nothing more of a job until its next snapshot; what is out may be answered."""
        ...

    def close(self, job_id: JobId, partition: int | None = None) -> None:
        """Forget a job, or one partition of it; its leases are void."""
        ...
