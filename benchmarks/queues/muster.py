"""Muster's shard under the same load: the plain class behind its actor, in this process.

What a gateway's call sees once Ray has delivered it: the actor's methods on many threads, its
combiners, the state machine, and the SQL stores with every answer synced before it is
acknowledged. Ray's own cost of a call is measured apart.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from allocation.actor import AllocatorActor
from allocation.ports import Crowd, Offer, Submission, TruthSnapshot
from cluster.domain.ids import JobId, KeyId, ModelName, ShardId, TenantId, WorkerId
from cluster.domain.jobs import CrowdTerms, Job, JobSpec, Source
from cluster.domain.labels import Label, LabelSet
from cluster.domain.work import Partition, WorkerProfile
from cluster.ports import Stores
from cluster.settings import Settings
from cluster.stores.opened import open_stores

JOB = JobId("job-of-the-benchmark")


def settings(folder: Path, uri: str | None) -> Settings:
    """Return the settings of a deployment on SQLite, or on a PostgreSQL server."""
    if uri is None:
        return Settings(data_dir=folder)
    return Settings(data_dir=folder, database_url=uri.replace("postgresql:", "postgresql+psycopg:"))


def add_job(stores: Stores, tasks: int, labels: int, shards: int) -> None:
    """Store a job whose tasks are spread evenly over the shards."""
    spec = JobSpec(
        name="benchmark",
        modality="text",
        label_set=LabelSet(tuple(Label(f"label-{code}") for code in range(labels))),
        source=Source(uri="upload://none", format="jsonl"),
        crowd=CrowdTerms(),
    )
    job = Job(
        job_id=JOB,
        tenant_id=TenantId("tenant"),
        spec=spec,
        model_name=ModelName("model"),
        created_at=0.0,
        updated_at=0.0,
    )
    stores.jobs.create(job, None)
    each = tasks // shards
    stores.partitions.add(
        [
            Partition(
                job_id=JOB,
                number=number,
                first_position=number * each,
                items=each,
                shard_id=ShardId(number),
            )
            for number in range(shards)
        ]
    )


def knowledge(
    tasks: int, labels: int, workers: Sequence[WorkerId], number: int, rng: np.random.Generator
) -> TruthSnapshot:
    """Return what truth inference might say of a partition: every worker known, nothing settled."""
    prior = rng.random((tasks, labels), dtype=np.float32)
    prior /= prior.sum(axis=1, keepdims=True)
    confusion = rng.random((len(workers), labels, labels), dtype=np.float32)
    confusion += np.float32(4.0) * np.eye(labels, dtype=np.float32)
    confusion /= confusion.sum(axis=2, keepdims=True)
    return TruthSnapshot(
        job_id=JOB,
        partition=number,
        round=1,
        worker_ids=tuple(workers),
        log_confusion=np.log(confusion),
        pooled_log_confusion=np.log(confusion.mean(axis=0)),
        paused_workers=frozenset(),
        log_prior=np.log(np.maximum(prior, np.float32(1e-6))),
        final=np.zeros(tasks, dtype=np.bool_),
        audit=np.zeros(tasks, dtype=np.bool_),
        goal_error=0.0,
        answers_left=10**9,
        label_answers_max=7,
    )


class MusterClient:
    """A gateway's thread: each claim is for the next of its workers, who answers all it got."""

    def __init__(
        self, crowd: Crowd, workers: Sequence[WorkerId], number: int, clients: int, count: int
    ) -> None:
        self._crowd, self._workers, self._count = crowd, workers, count
        self._next, self._stride = number, clients
        self._worker = _profile(workers[number % len(workers)])
        self._held: tuple[Offer, ...] = ()

    async def claim(self) -> int:
        """Lease questions for the next worker."""
        self._worker = replace(
            self._worker, worker_id=self._workers[self._next % len(self._workers)]
        )
        self._next += self._stride
        self._held = await self._crowd.claim(self._worker, self._count)
        return len(self._held)

    async def answer(self) -> int:
        """Answer them all."""
        sent = tuple(
            Submission(token=offer.token, label=f"label-{offer.position % 10}", duration_s=1.0)
            for offer in self._held
        )
        outcomes = await self._crowd.answer(self._worker, sent)
        return sum(outcome.error is None for outcome in outcomes)


def _profile(worker_id: WorkerId) -> WorkerProfile:
    return WorkerProfile(
        worker_id=worker_id,
        owner=KeyId("key"),
        name=worker_id,
        price=0.01,
        registered_at=0.0,
    )


def shard(stores: Stores, chosen: Settings) -> AllocatorActor:
    """Return shard 0 of a deployment."""
    del stores
    return AllocatorActor(0, chosen)


def opened(chosen: Settings, tasks: int, labels: int, shards: int) -> Stores:
    """Return the stores of a new deployment with the job in them."""
    stores = open_stores(chosen)
    add_job(stores, tasks, labels, shards)
    return stores
