"""How evenly work falls on equal workers who ask whenever they are idle."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

import numpy as np

from allocation.commands import Claim
from allocation.ports import Submission
from allocation.service import ShardService
from allocation.settlement import Request
from allocation.terms import Rules
from benchmarks.queues.muster import add_job, knowledge, profile
from cluster.clock import SystemClock
from cluster.domain.ids import ShardId, WorkerId
from cluster.domain.work import WorkerProfile
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects

_AT_ONCE = 64
_CLAIM = 3
_ITEM_S = 10.0


def jain(load: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    """Return (sum x)^2 / (n sum x^2): 1 where all bear the same (Jain, Chiu and Hawe 1984)."""
    return float(load.sum() ** 2 / (len(load) * (load**2).sum()))


def load_index(workers: int, answers: int, seed: int) -> float:
    """Return the index of answers given by workers of one ability and speed.

    Each takes three questions, some random time for each of them, and comes again, until all
    items are answered.
    """
    rng = np.random.default_rng(seed)
    stores = memory_stores(MemoryObjects())
    add_job(stores, answers, 10, 1)
    shard = ShardService(ShardId(0), stores, SystemClock(), bytes(32), Rules())
    shard.recover()
    shard.publish(knowledge(answers, 10, (), 0, rng))
    crowd = [profile(WorkerId(f"worker-{number}")) for number in range(workers)]
    given = np.zeros(workers)
    free_at = list(zip(rng.exponential(_ITEM_S, workers).tolist(), range(workers), strict=True))
    heapify(free_at)
    while given.sum() < answers:
        coming = [heappop(free_at) for _ in range(_AT_ONCE)]
        stored = _served(shard, [crowd[worker] for _, worker in coming])
        for (at, worker), count in zip(coming, stored, strict=True):
            given[worker] += count
            heappush(free_at, (at + float(rng.exponential(_ITEM_S, _CLAIM).sum()), worker))
    return jain(given)


def _served(shard: ShardService, workers: Sequence[WorkerProfile]) -> list[int]:
    """Let workers claim and answer, and return how many answers of each are stored."""
    offers = shard.claim_all([Claim(worker=worker, count=_CLAIM) for worker in workers])
    requests = [
        Request(
            worker=worker,
            submissions=tuple(
                Submission(token=offer.token, label="label-0", duration_s=1.0) for offer in found
            ),
        )
        for worker, found in zip(workers, offers, strict=True)
    ]
    return [
        sum(outcome.error is None for outcome in outcomes)
        for outcomes in shard.answer_all(requests)
    ]
