"""How evenly work falls on equal workers who ask whenever they are idle."""

from collections import Counter

import numpy as np

from allocation.commands import Claim
from allocation.ports import Submission
from allocation.service import ShardService
from allocation.settlement import Request
from allocation.terms import Rules
from benchmarks.queues.muster import JOB, add_job, knowledge, profile
from cluster.clock import SystemClock
from cluster.domain.ids import ShardId, WorkerId
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects

_AT_ONCE = 64
_CLAIM_MAX = 5


def jain(load: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    """Return (sum x)^2 / (n sum x^2): 1 where all bear the same (Jain, Chiu and Hawe 1984)."""
    return float(load.sum() ** 2 / (len(load) * (load**2).sum()))


def load_index(workers: int, answers: int, seed: int) -> float:
    """Return the index of answers given when workers of one ability come in random order.

    Each asks for one to five questions at a time and there is less work than all could do.
    """
    rng = np.random.default_rng(seed)
    stores = memory_stores(MemoryObjects())
    add_job(stores, answers, 10, 1)
    shard = ShardService(ShardId(0), stores, SystemClock(), bytes(32), Rules())
    shard.recover()
    shard.publish(knowledge(answers, 10, (), 0, rng))
    crowd = [profile(WorkerId(f"worker-{number}")) for number in range(workers)]
    given: Counter[str] = Counter()
    while sum(given.values()) < answers:
        chosen = rng.choice(workers, _AT_ONCE, replace=False)
        counts = rng.integers(1, _CLAIM_MAX + 1, _AT_ONCE).tolist()
        claims = [
            Claim(worker=crowd[at], count=count) for at, count in zip(chosen, counts, strict=True)
        ]
        offers = shard.claim_all(claims)
        requests = [
            Request(
                worker=claim.worker,
                submissions=tuple(
                    Submission(token=offer.token, label="label-0", duration_s=1.0)
                    for offer in found
                ),
            )
            for claim, found in zip(claims, offers, strict=True)
        ]
        for claim, outcomes in zip(claims, shard.answer_all(requests), strict=True):
            given[claim.worker.worker_id] += sum(found.error is None for found in outcomes)
    shard.close(JOB)
    return jain(np.array([given[found.worker_id] for found in crowd], dtype=np.float64))
