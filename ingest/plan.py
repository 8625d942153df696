"""How accepted items are cut into chunks, and chunks into partitions: the same way every time."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import pairwise

from cluster.domain.ids import JobId, ShardId
from cluster.domain.work import Partition
from ingest.rows import Candidate


def plan_chunks(
    items: Iterable[Candidate], rows_max: int, bytes_max: int
) -> Iterator[tuple[Candidate, ...]]:
    """Yield runs of items in order, each as long as its rows and bytes of content allow.

    An item that is over `bytes_max` by itself makes a chunk of one.
    """
    run: list[Candidate] = []
    size = 0
    for item in items:
        if run and (len(run) == rows_max or size + item.size > bytes_max):
            yield tuple(run)
            run, size = [], 0
        run.append(item)
        size += item.size
    if run:
        yield tuple(run)


def plan_partitions(
    job_id: JobId, items: int, items_max: int, shards: int
) -> tuple[Partition, ...]:
    """Return a job's partitions: as few as `items_max` allows, alike in size to within one item."""
    count = -(-items // items_max)
    bounds = [items * number // count for number in range(count + 1)] if count else []
    return tuple(
        Partition(
            job_id=job_id,
            number=number,
            first_position=first,
            items=end - first,
            shard_id=shard_of(job_id, number, shards),
        )
        for number, (first, end) in enumerate(pairwise(bounds))
    )


def shard_of(job_id: JobId, number: int, shards: int) -> ShardId:
    """Return the shard that first owns a partition; by hash, so that many jobs spread evenly."""
    digest = blake2b(f"{job_id}/{number}".encode(), digest_size=8).digest()
    return ShardId(int.from_bytes(digest, "big") % shards)
