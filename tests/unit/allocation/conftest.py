"""One shard over memory stores with a job of a single partition; a test may override each."""

import pytest

from allocation.service import ShardService
from cluster.ports import Stores
from tests.unit.allocation.worlds import ITEMS, JOB, ManualClock, job, partition, shard, stores_with


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stores() -> Stores:
    stores = stores_with(job())
    stores.partitions.add([partition(ITEMS)])
    return stores


@pytest.fixture
def service(stores: Stores, clock: ManualClock) -> ShardService:
    """A shard that owns the partition and has no snapshot of it yet."""
    service = shard(stores, clock)
    service.open(JOB, 0)
    return service
