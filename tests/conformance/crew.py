"""What the processes of `test_processes` do; each opens the stores for itself."""

from collections.abc import Sequence
from dataclasses import replace
from threading import Barrier

from cluster.domain.ids import JobId, ModelName, ShardId
from cluster.domain.lines import Stage
from cluster.domain.work import AnswerColumns
from cluster.errors import StaleEpoch, StaleRevision
from cluster.settings import Settings
from cluster.stores.opened import open_stores
from cluster.stores.secrets import lease_secret
from tests.conformance import samples
from tests.model_lines import WHY
from training.rollout import entered

PETS = ModelName("acme/pets")

_START: list[Barrier] = []


def enlist(start: Barrier) -> None:
    """Keep the barrier that makes the processes of a race begin together."""
    _START.append(start)


def open_first(settings: Settings, number: int) -> bytes:
    """Open stores nobody has opened before, write to them, and return the lease secret."""
    _START[0].wait(60)
    stores = open_stores(settings)
    stores.jobs.create(samples.job(number), None)
    stores.objects.write(f"probe/{number}", b"x")
    return lease_secret(settings)


def create_jobs(settings: Settings, number: int, keys: int) -> list[JobId]:
    """Submit the same requests as the others, each with job ids of its own."""
    stores = open_stores(settings)
    _START[0].wait(60)
    return [
        stores.jobs.create(samples.job(1_000 * number + n), samples.key(f"key-{n}")).job_id
        for n in range(keys)
    ]


def count_up(settings: Settings, times: int) -> None:
    """Add to a job's count of answers, starting over whenever another save came first."""
    stores = open_stores(settings)
    _START[0].wait(60)
    for _ in range(times):
        while True:
            job = stores.jobs.load(samples.JOB)
            more = replace(job.progress, answers=job.progress.answers + 1)
            try:
                stores.jobs.save(replace(job, progress=more))
            except StaleRevision:
                continue
            break


def fight_for_partition(settings: Settings, number: int, turns: int) -> list[int]:
    """Take the partition again and again, answer until fenced; return the positions stored.

    Every answer's label is the epoch it was given under.
    """
    stores = open_stores(settings)
    _START[0].wait(60)
    stored: list[int] = []
    for turn in range(turns):
        fence = stores.partitions.acquire(samples.JOB, 0, ShardId(number))
        for step in range(10):
            position = 10_000 * number + 10 * turn + step
            given = samples.answer(position, f"shard-{number}", label=fence.epoch)
            try:
                stores.answers.append(fence, AnswerColumns.of([given]))
            except StaleEpoch:
                break
            stored.append(position)
    return stored


def fill_partition(settings: Settings, number: int, batches: int) -> None:
    """Append batches of ten answers to a partition of one's own."""
    stores = open_stores(settings)
    fence = stores.partitions.acquire(samples.JOB, number, ShardId(number))
    _START[0].wait(60)
    for batch in range(batches):
        first = fence.first_position + 10 * batch
        stores.answers.append(
            fence, AnswerColumns.of([samples.answer(first + n) for n in range(10)])
        )


def promote_up(settings: Settings, times: int) -> None:
    """Promote the version after the live one, starting over whenever another came first."""
    stores = open_stores(settings)
    _START[0].wait(60)
    for _ in range(times):
        while True:
            try:
                standing = stores.lines.standing(PETS)
                stores.lines.take(entered(standing, standing.live + 1, Stage.LIVE, WHY))
            except StaleRevision:
                continue
            break


def extend_results(settings: Settings, lengths: Sequence[int]) -> None:
    """Add segments at the log's end, wherever that is by then."""
    stores = open_stores(settings)
    _START[0].wait(60)
    for rows in lengths:
        while True:
            log = stores.results.segments(samples.JOB, 0, 1_000)
            end = log[-1].first_row + log[-1].rows if log else 0
            try:
                stores.results.append(samples.segment(len(log), end, rows))
            except StaleRevision:
                continue
            break
