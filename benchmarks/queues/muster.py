"""Muster's shard under the same load: the plain class behind its actor, in this process.

What a gateway's call sees once Ray has delivered it: the actor's methods, its combiners, the state
machine, and the SQL stores with every answer synced before it is acknowledged. Ray's own cost of a
call comes on top.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np

from allocation.actor import AllocatorActor
from allocation.ports import Offer, Submission, TruthSnapshot
from allocation.state import PartitionState
from allocation.terms import Rules, Terms
from cluster.domain.ids import JobId, KeyId, ModelName, ShardId, TenantId, WorkerId
from cluster.domain.jobs import CrowdTerms, Job, JobSpec, Source
from cluster.domain.labels import Label, LabelSet
from cluster.domain.work import AnswerColumns, Partition, WorkerProfile
from cluster.ports import Stores
from cluster.settings import Settings
from cluster.stores.opened import open_stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much a deployment holds."""

    tasks: int
    workers: int
    shards: int = 1
    labels: int = 10


JOB = JobId("job-of-the-benchmark")


def settings(folder: Path, uri: str | None) -> Settings:
    """Return the settings of a deployment on SQLite, or on a PostgreSQL server."""
    if uri is None:
        return Settings(data_dir=folder)
    return Settings(data_dir=folder, database_url=uri.replace("postgresql:", "postgresql+psycopg:"))


def add_job(stores: Stores, tasks: int, labels: int, shards: int) -> None:
    """Store a job whose tasks are spread evenly over the shards."""
    job = Job(
        job_id=JOB,
        tenant_id=TenantId("tenant"),
        spec=_spec(labels),
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


def _spec(labels: int) -> JobSpec:
    return JobSpec(
        name="benchmark",
        modality="text",
        label_set=LabelSet(tuple(Label(f"label-{code}") for code in range(labels))),
        source=Source(uri="upload://none", format="jsonl"),
        crowd=CrowdTerms(),
    )


def knowledge(
    tasks: int, labels: int, workers: Sequence[WorkerId], number: int, rng: np.random.Generator
) -> TruthSnapshot:
    """Return what truth inference might say of a partition: every worker known, nothing settled."""
    prior = rng.random((tasks, labels), dtype=np.float32)
    prior /= prior.sum(axis=1, keepdims=True)
    confusion = rng.random((len(workers), labels, labels), dtype=np.float32)
    able = np.float32(4.0) * np.eye(labels, dtype=np.float32)
    confusion += able
    pooled = able + np.float32(0.5)
    confusion /= confusion.sum(axis=2, keepdims=True)
    return TruthSnapshot(
        job_id=JOB,
        partition=number,
        round=1,
        worker_ids=tuple(workers),
        log_confusion=np.log(np.maximum(confusion, np.float32(1e-6))),
        pooled_log_confusion=np.log(pooled / pooled.sum(axis=1, keepdims=True)),
        paused_workers=frozenset(),
        log_prior=np.log(np.maximum(prior, np.float32(1e-6))),
        final=np.zeros(tasks, dtype=np.bool_),
        audit=np.zeros(tasks, dtype=np.bool_),
        goal_error=0.0,
        answers_left=10**9,
        label_answers_max=7,
    )


class MusterClient:
    """A gateway's caller: each claim is for the next of its workers, who answers all it got."""

    def __init__(self, shard: AllocatorActor, workers: Sequence[WorkerProfile], count: int) -> None:
        self._shard, self._workers, self._count = shard, cycle(workers), count
        self._worker = workers[0]
        self._held: tuple[Offer, ...] = ()

    async def claim(self) -> int:
        """Lease questions for the next worker."""
        self._worker = next(self._workers)
        self._held = await self._shard.claim(self._worker, self._count)
        return len(self._held)

    async def answer(self) -> int:
        """Answer them all."""
        sent = tuple(
            Submission(token=offer.token, label=f"label-{offer.position % 10}", duration_s=1.0)
            for offer in self._held
        )
        outcomes = await self._shard.answer(self._worker, sent)
        return sum(outcome.error is None for outcome in outcomes)


def profile(worker_id: WorkerId) -> WorkerProfile:
    """Return a worker like all others."""
    return WorkerProfile(
        worker_id=worker_id,
        owner=KeyId("key"),
        name=worker_id,
        price=0.01,
        registered_at=0.0,
    )


def shards(
    chosen: Settings, size: Size, rng: np.random.Generator
) -> tuple[list[AllocatorActor], list[WorkerProfile]]:
    """Return the shards of a new deployment, each with its part of one job, and the workers."""
    stores = open_stores(chosen)
    add_job(stores, size.tasks, size.labels, size.shards)
    worker_ids = [WorkerId(f"worker-{number}") for number in range(size.workers)]
    opened = [AllocatorActor(number, chosen) for number in range(size.shards)]

    async def publish() -> None:
        for number, shard in enumerate(opened):
            each = size.tasks // size.shards
            await shard.publish(knowledge(each, size.labels, worker_ids, number, rng))

    asyncio.run(publish())
    return opened, [profile(worker_id) for worker_id in worker_ids]


def clients(
    opened: Sequence[AllocatorActor], workers: Sequence[WorkerProfile], count: int, clients: int
) -> list[MusterClient]:
    """Return clients, each with workers of its own, dealt out over the shards."""
    return [
        MusterClient(opened[number % len(opened)], workers[number::clients], count)
        for number in range(clients)
    ]


def bytes_a_task(items: int, labels: int) -> tuple[float, float]:
    """Return what a task takes in a partition: as published, and with one answer to each."""
    rng = np.random.default_rng(0)
    taken: list[float] = []
    for answers in (0, items):
        partition = Partition(
            job_id=JOB, number=0, first_position=0, items=items, shard_id=ShardId(0)
        )
        state = PartitionState(partition, Terms.of(JOB, _spec(labels)), Rules())
        state.restore(_answers(answers))
        state.learn(knowledge(items, labels, (), 0, rng))
        taken.append(state.nbytes / items)
    return taken[0], taken[1]


def _answers(count: int) -> AnswerColumns:
    """Return one answer to each item, all of one worker."""
    nothing = np.zeros(count)
    return AnswerColumns(
        seq=np.arange(1, count + 1),
        positions=np.arange(count),
        workers=nothing.astype(np.int32),
        labels=nothing.astype(np.int16),
        audit=nothing.astype(np.bool_),
        prices=nothing,
        answered_at=nothing,
        durations_s=nothing,
        worker_ids=(WorkerId("worker"),),
    )
