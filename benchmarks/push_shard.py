"""A shard that assigns beside one that lets the same workers claim in turn.

A question's information is counted before any answer is heard. A second question about an item in
parallel counts half, a third one a third, as it may turn out superfluous.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from allocation.policy import information_gain
from allocation.ports import Offer, TruthSnapshot
from allocation.service import ShardService
from allocation.terms import Rules
from benchmarks.figures import Figure, informing
from cluster.clock import SystemClock
from cluster.domain.ids import JobId, KeyId, ModelName, ShardId, TenantId, WorkerId
from cluster.domain.jobs import Job, JobSpec, Source
from cluster.domain.labels import Label, LabelSet
from cluster.domain.work import Partition, WorkerProfile
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects

JOB, SHARD = JobId("job"), ShardId(0)
LABELS, WORKERS, QUESTIONS_EACH = 3, 500, 20
OPEN_ITEMS = (50_000, 10_000, 5_000)

Asking = Callable[[ShardService, Sequence[WorkerProfile]], Sequence[Sequence[Offer]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a way of asking brings."""

    nats: float
    price: float
    took_s: float


def figures() -> list[Figure]:
    """Compare where items abound, just suffice, and are scarce."""
    rows: list[Figure] = []
    for items in OPEN_ITEMS:
        pushed, pulled = _ask(items, _assigned), _ask(items, _claimed)
        name = f"shard, {items:,} items"
        rows += [
            informing(f"{name}: information over claims", pushed.nats / pulled.nats, "ratio"),
            informing(f"{name}: money over claims", pushed.price / pulled.price, "ratio"),
            informing(f"{name}: time to assign", pushed.took_s, "s"),
            informing(f"{name}: time to claim", pulled.took_s, "s"),
        ]
    return rows


def _assigned(service: ShardService, crew: Sequence[WorkerProfile]) -> Sequence[Sequence[Offer]]:
    return service.assign(crew, [QUESTIONS_EACH] * len(crew))


def _claimed(service: ShardService, crew: Sequence[WorkerProfile]) -> Sequence[Sequence[Offer]]:
    return [service.claim(worker, QUESTIONS_EACH) for worker in crew]


def _ask(items: int, asking: Asking) -> Asked:
    rng = np.random.default_rng(0)
    snapshot = _snapshot(items, rng)
    crew = [_worker(worker_id, float(rng.random())) for worker_id in snapshot.worker_ids]
    service = _shard(items)
    service.publish(snapshot)
    started = perf_counter()
    offers = asking(service, crew)
    took_s = perf_counter() - started
    told: list[tuple[float, int]] = []
    for row, found in enumerate(offers):
        positions = [offer.position for offer in found]
        gain = information_gain(snapshot.log_prior[positions], snapshot.log_confusion[row])
        told += zip(gain.tolist(), positions, strict=True)
    price = sum(worker.price * len(found) for worker, found in zip(crew, offers, strict=True))
    return Asked(nats=_halving(told), price=price, took_s=took_s)


def _halving(told: Sequence[tuple[float, int]]) -> float:
    times: dict[int, int] = {}
    total = 0.0
    for gain, position in sorted(told, reverse=True):
        times[position] = times.get(position, 0) + 1
        total += gain / times[position]
    return total


def _shard(items: int) -> ShardService:
    stores = memory_stores(MemoryObjects())
    names = tuple(Label(f"label-{code}") for code in range(LABELS))
    spec = JobSpec(
        name="push",
        modality="text",
        label_set=LabelSet(names),
        source=Source(uri="upload://push", format="jsonl"),
        seed=1,
    )
    stores.jobs.create(
        Job(
            job_id=JOB,
            tenant_id=TenantId("tenant"),
            spec=spec,
            model_name=ModelName("model"),
            created_at=0.0,
            updated_at=0.0,
        ),
        None,
    )
    stores.partitions.add(
        [Partition(job_id=JOB, number=0, first_position=0, items=items, shard_id=SHARD)]
    )
    service = ShardService(SHARD, stores, SystemClock(), bytes(32), Rules())
    service.open(JOB, 0)
    return service


def _snapshot(items: int, rng: np.random.Generator) -> TruthSnapshot:
    """Return beliefs of every shade, and workers from hardly better than chance to very good."""
    prior = np.maximum(rng.dirichlet([0.5] * LABELS, items), 1e-6)
    right = np.clip(rng.beta(6, 2, WORKERS), 0.4, 0.98)[:, None, None]
    confusion = np.where(np.eye(LABELS, dtype=np.bool_), right, (1 - right) / (LABELS - 1))
    return TruthSnapshot(
        job_id=JOB,
        partition=0,
        round=1,
        worker_ids=tuple(WorkerId(f"worker-{number}") for number in range(WORKERS)),
        log_confusion=np.log(confusion).astype(np.float32),
        pooled_log_confusion=np.log(confusion.mean(axis=0)).astype(np.float32),
        paused_workers=frozenset(),
        log_prior=np.log(prior).astype(np.float32),
        final=np.zeros(items, dtype=np.bool_),
        audit=np.zeros(items, dtype=np.bool_),
        goal_error=0.0,
        answers_left=10 * items,
    )


def _worker(worker_id: WorkerId, price: float) -> WorkerProfile:
    return WorkerProfile(
        worker_id=worker_id,
        owner=KeyId("key"),
        name=str(worker_id),
        price=0.05 * price,
        registered_at=0.0,
    )
