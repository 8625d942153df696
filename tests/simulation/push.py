"""Push mode in the simulation: some of the crowd asked at once, of all jobs or of one."""

from collections.abc import Iterator, Sequence

import numpy as np

from allocation.ports import Batch, Offer
from allocation.router import ShardRouter
from cluster.errors import ShardUnavailable
from tests.simulation.crowd import VirtualWorker
from tests.simulation.stage import Stage


def pushed(
    router: ShardRouter,
    drawn: Sequence[VirtualWorker],
    stages: Sequence[Stage],
    rng: np.random.Generator,
) -> Iterator[tuple[VirtualWorker, tuple[Offer, ...]]]:
    """Yield what each worker is given; it is what was asked for, and each of them finds it."""
    crew = list({worker.profile.worker_id: worker for worker in drawn}.values())
    counts = [int(rng.integers(1, 6)) for _ in crew]
    only = stages[int(rng.integers(len(stages)))].job.job_id if rng.random() < 0.5 else None
    batch = Batch(job_id=only, wait_price=float(rng.choice([0.0, 0.01])))
    try:
        found = router.assign([worker.profile for worker in crew], counts, batch)
    except ShardUnavailable:
        return
    for worker, count, offers in zip(crew, counts, found, strict=True):
        assert len(offers) <= count
        assert only is None or {offer.job_id for offer in offers} <= {only}
        assert set(offers) <= set(router.held(worker.profile, 1_000))
        yield worker, offers
