"""Jobs of different weights on one shard: while all have work, grants follow the weights."""

from collections import Counter
from itertools import combinations

import numpy as np

from allocation.terms import Rules
from cluster.domain.ids import JobId, ShardId
from cluster.domain.jobs import CrowdTerms, Job
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from tests.simulation.crowd import hire
from tests.simulation.faults import Clock, Node
from tests.simulation.stage import Stage
from tests.unit.allocation.worlds import job, partition

ITEMS = 60


def widest_gap(seed: int) -> float:
    """Return how far the shares of two jobs ever stray, by the bound of `allocation.fairness`.

    One question is charged at a time, so the bound is the sum of the inverse weights.
    """
    rng = np.random.default_rng(seed)
    weights = {f"job-{n}": float(rng.uniform(0.2, 5.0)) for n in range(int(rng.integers(2, 5)))}
    stores = memory_stores(MemoryObjects())
    clock = Clock()
    node = Node(ShardId(0), stores, clock, Rules())
    jobs: list[Job] = []
    for name, weight in weights.items():
        crowd = CrowdTerms(audit_share=float(rng.choice([0.0, 0.1])))
        jobs.append(job(JobId(name), crowd=crowd, weight=weight))
        stores.jobs.create(jobs[-1], None)
        stores.partitions.add([partition(ITEMS, JobId(name))])
    node.start()
    for found in jobs:
        stage = Stage(found, stores, [node], rng, clock)
        stage.calm = True
        stage.refit()
    granted: Counter[str] = Counter()
    widest = 0.0
    for number in range(10_000):
        worker = hire(number, "good", rng).profile
        granted.update(offer.job_id for offer in node.claim(worker, int(rng.integers(1, 8))))
        if any(granted[name] >= ITEMS for name in weights):
            break
        for (one, weight), (other, other_weight) in combinations(weights.items(), 2):
            gap = abs(granted[one] / weight - granted[other] / other_weight)
            bound = 1 / weight + 1 / other_weight
            widest = max(widest, gap / bound)
    return widest
