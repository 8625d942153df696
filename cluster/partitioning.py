"""Which shard owns which part of a job."""

from hashlib import blake2b

from cluster.domain.ids import JobId, ShardId
from cluster.domain.work import Partition


def plan_partitions(
    job_id: JobId, items: int, *, shards: int, partition_items_max: int
) -> tuple[Partition, ...]:
    """Return a job's partitions: contiguous, of nearly equal size, dealt out over the shards.

    The first one's shard depends on the job alone, so small jobs spread over the shards too. The
    same arguments always give the same plan. No partition is empty; no items give no partition.
    """
    count = -(-items // partition_items_max)
    start = int.from_bytes(blake2b(job_id.encode(), digest_size=8).digest(), "big")
    bounds = [items * number // count for number in range(count + 1)] if count else [0]
    return tuple(
        Partition(
            job_id=job_id,
            number=number,
            first_position=bounds[number],
            items=bounds[number + 1] - bounds[number],
            shard_id=ShardId((start + number) % shards),
        )
        for number in range(count)
    )
