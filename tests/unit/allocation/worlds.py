"""Small worlds for allocator tests: a clock that is set by hand, a job, a shard, snapshots."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from allocation.policy import Floats
from allocation.ports import Offer, Outcome, Submission, TruthSnapshot
from allocation.service import ShardService
from allocation.terms import Rules
from cluster.domain.ids import JobId, KeyId, ModelName, ShardId, TenantId, WorkerId
from cluster.domain.jobs import CrowdTerms, Job, JobSpec, Source
from cluster.domain.labels import Label, LabelSet
from cluster.domain.work import Answer, Partition, WorkerProfile
from cluster.ports import Stores
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects

SECRET = b"a secret of thirty-two bytes....".ljust(32, b".")
JOB = JobId("job-1")
LABELS = ("cat", "dog", "owl")
SHARD = ShardId(0)
ITEMS = 12
"""How many items the job of the fixtures has."""


class ManualClock:
    """A clock that moves when told to."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


def worker(name: str, *, skills: Sequence[str] = (), price: float = 0.01) -> WorkerProfile:
    return WorkerProfile(
        worker_id=WorkerId(name),
        owner=KeyId("key"),
        name=name,
        skills=frozenset(skills),
        price=price,
        registered_at=0.0,
    )


def job(
    job_id: JobId = JOB, *, crowd: CrowdTerms | None = None, weight: float = 1.0, labels: int = 3
) -> Job:
    names = tuple(LABELS[code] if code < 3 else f"label-{code}" for code in range(labels))
    spec = JobSpec(
        name=str(job_id),
        modality="text",
        label_set=LabelSet(tuple(Label(name) for name in names)),
        source=Source(uri="upload://x", format="jsonl"),
        crowd=crowd or CrowdTerms(),
        weight=weight,
        seed=7,
    )
    return Job(
        job_id=job_id,
        tenant_id=TenantId("tenant"),
        spec=spec,
        model_name=ModelName("model"),
        created_at=0.0,
        updated_at=0.0,
    )


def partition(items: int, job_id: JobId = JOB, *, number: int = 0, first: int = 0) -> Partition:
    return Partition(
        job_id=job_id, number=number, first_position=first, items=items, shard_id=SHARD
    )


def log_confusion(accuracy: float, labels: int = 3) -> Floats:
    wrong = (1.0 - accuracy) / (labels - 1)
    confusion = np.full((labels, labels), wrong)
    np.fill_diagonal(confusion, accuracy)
    logs: Floats = np.log(confusion).astype(np.float32)
    return logs


def snapshot(items: int, job_id: JobId = JOB, *, labels: int = 3) -> TruthSnapshot:
    """Return a snapshot that knows nobody, with uniform priors, no audit and a large budget."""
    return TruthSnapshot(
        job_id=job_id,
        partition=0,
        round=1,
        worker_ids=(),
        log_confusion=np.empty((0, labels, labels), dtype=np.float32),
        pooled_log_confusion=log_confusion(0.8, labels),
        paused_workers=frozenset(),
        log_prior=np.full((items, labels), -np.log(labels), dtype=np.float32),
        final=np.zeros(items, dtype=np.bool_),
        audit=np.zeros(items, dtype=np.bool_),
        goal_error=0.0,
        answers_left=1_000_000,
    )


def audited(published: TruthSnapshot, positions: Sequence[int]) -> TruthSnapshot:
    audit = np.zeros(len(published.final), dtype=np.bool_)
    audit[list(positions)] = True
    return replace(published, audit=audit)


def stores_with(*jobs: Job) -> Stores:
    stores = memory_stores(MemoryObjects())
    for new in jobs:
        stores.jobs.create(new, None)
    return stores


def shard(stores: Stores, clock: ManualClock, rules: Rules | None = None) -> ShardService:
    return ShardService(SHARD, stores, clock, SECRET, rules or Rules())


def submit(service: ShardService, who: WorkerProfile, offer: Offer, label: str = "cat") -> Outcome:
    submission = Submission(token=offer.token, label=label, duration_s=1.0)
    return service.answer(who, [submission])[0]


def stored(stores: Stores) -> list[tuple[int, str, int, bool]]:
    """Return the stored answers to the job as (position, worker, label, audit), in log order."""
    columns = stores.answers.read(JOB, 0, 10_000)
    return [
        (int(position), columns.worker_ids[found], int(label), bool(audit))
        for position, found, label, audit in zip(
            columns.positions, columns.workers, columns.labels, columns.audit, strict=True
        )
    ]


def answer(position: int, label: int, who: int, at: float = 0.0) -> Answer:
    """Return the label of a worker, who is called w and a number."""
    return Answer(
        job_id=JOB,
        position=position,
        worker_id=WorkerId(f"w{who}"),
        label=label,
        purpose="label",
        price=1.0,
        answered_at=at,
        duration_s=1.0,
    )
