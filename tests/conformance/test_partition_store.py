"""`PartitionStore`: one owner at a time, and epochs only rise."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cluster.domain.ids import JobId, ShardId
from cluster.domain.jobs import JobState
from cluster.errors import JobNotFound
from cluster.ports import Stores
from tests.conformance import samples


def test_partitions_begin_at_epoch_0_and_come_back_by_number(stores: Stores) -> None:
    stores.partitions.add([samples.partition(1), replace(samples.partition(0), epoch=9)])
    stores.partitions.add([samples.partition(0, job_id=JobId("job-0002"))])
    stores.partitions.add([])

    assert stores.partitions.of_job(samples.JOB) == (samples.partition(0), samples.partition(1))
    assert stores.partitions.of_job(JobId("unknown")) == ()


def test_recording_a_partition_again_keeps_its_owner(stores: Stores) -> None:
    stores.partitions.add([samples.partition()])
    acquired = stores.partitions.acquire(samples.JOB, 0, ShardId(3))

    stores.partitions.add([samples.partition()])

    assert stores.partitions.of_job(samples.JOB) == (acquired,)


def test_acquiring_changes_the_owner_and_raises_the_epoch(stores: Stores) -> None:
    stores.partitions.add([samples.partition()])

    first = stores.partitions.acquire(samples.JOB, 0, ShardId(3))
    second = stores.partitions.acquire(samples.JOB, 0, ShardId(3))

    assert first == replace(samples.partition(), shard_id=ShardId(3), epoch=1)
    assert second == replace(first, epoch=2)


def test_acquiring_an_unknown_partition_is_not_found(stores: Stores) -> None:
    stores.partitions.add([samples.partition()])

    with pytest.raises(JobNotFound):
        stores.partitions.acquire(samples.JOB, 1, ShardId(0))


def test_a_shard_owns_partitions_of_unfinished_jobs_only(stores: Stores) -> None:
    # Given two jobs with partitions on two shards
    jobs = [stores.jobs.create(samples.job(number), None) for number in (1, 2)]
    for job in jobs:
        stores.partitions.add([samples.partition(n, n, job.job_id) for n in (0, 1)])

    # When one job ends
    stores.jobs.save(replace(jobs[0], state=JobState.COMPLETED))

    # Then each shard is left with its partition of the other
    assert stores.partitions.owned_by(ShardId(1)) == (samples.partition(1, 1, jobs[1].job_id),)
    assert stores.partitions.owned_by(ShardId(2)) == ()


def test_parallel_acquires_each_get_their_own_epoch(stores: Stores) -> None:
    stores.partitions.add([samples.partition()])

    with ThreadPoolExecutor(8) as threads:
        acquired = list(
            threads.map(
                lambda shard: stores.partitions.acquire(samples.JOB, 0, ShardId(shard)), range(24)
            )
        )

    assert sorted(found.epoch for found in acquired) == list(range(1, 25))
    newest = max(acquired, key=lambda found: found.epoch)
    assert stores.partitions.of_job(samples.JOB) == (newest,)
