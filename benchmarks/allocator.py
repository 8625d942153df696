"""`python -m benchmarks.allocator`: a shard at crowd scale beside the queues one would use instead.

Every queue gets the same closed load on the same PostgreSQL server, started here with fsync and
synchronous_commit on: so many clients at once, each claims n questions, answers them all, and
claims again. Muster is also measured on SQLite. Peers run in as many processes as there are
cores, Muster in one; `cores used` is what that one had of the machine, less than 1 where writes or
other programs kept it waiting. At last Muster is measured once more with ten times the tasks and
workers, over four shards that share the one process. The load is `clients x n`; give several:
`--loads 64x1,256x10`.

What bounds Muster at one question a claim: with few clients the commit, some ten round trips and a
sync, half of the cycle however few answers share it; with many clients the one core's time in
Python, half of it for the claim, as what is paid once a call (matching, token, future) is shared by
no other question. Closed clients also move in step: while the log writes they all wait for it.
"""

import argparse
import gc
import os
import resource
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console

from benchmarks.figures import Figure, at_least, at_most, exactly, informing, present
from benchmarks.push import small
from benchmarks.queues import fairness, muster, procrastinate_queue, skip_locked
from benchmarks.queues.load import (
    AsyncClient,
    Load,
    MakeAsyncClients,
    MakeClient,
    Measured,
    Seconds,
    drive_async,
    drive_async_processes,
    drive_threads,
)
from benchmarks.queues.muster import Size
from benchmarks.queues.server import durable, postgresql

Shape = tuple[int, int]
"""Clients at once, and questions each claims at a time."""

Runs = dict[Shape, Measured]

OVER_SKIP_LOCKED_MIN = 5.0
OVER_PROCRASTINATE_MIN = 20.0
CLAIM_P99_SHARE_MAX = 0.2
BYTES_A_TASK_MAX = 64.0
JAIN_MIN = 0.95
PUSH_CASES_PER_SHAPE = 5

LARGER, LARGER_SHARDS = 10, 4
"""Muster is measured again with so many times the tasks and workers, over so many shards."""


def run_muster(
    folder: Path, uri: str | None, size: Size, shapes: Sequence[Shape], seconds: float
) -> Runs:
    """Return what Muster does under each load."""
    chosen = muster.settings(folder, uri)
    shards, workers = muster.shards(chosen, size, np.random.default_rng(0))
    gc.freeze()  # what is built so far is no litter of the clients
    return {
        (clients, count): drive_async(
            muster.clients(shards, workers, count, clients), Load(clients=clients, seconds=seconds)
        )
        for clients, count in shapes
    }


def run_larger(folder: Path, size: Size, shapes: Sequence[Shape], seconds: float) -> list[Figure]:
    """Return what Muster does with ten times as much to hold, on a server of its own."""
    larger = replace(
        size, tasks=LARGER * size.tasks, workers=LARGER * size.workers, shards=LARGER_SHARDS
    )
    with postgresql(folder / "larger-postgresql") as uri:
        found = run_muster(folder / "larger", uri, larger, shapes, seconds)
    title = f"{larger.tasks:,} tasks x {larger.workers:,} workers, {larger.shards} shards"
    return described(f"Muster on PostgreSQL, {title}", found)


def run_skip_locked(uri: str, tasks: int, shapes: Sequence[Shape], seconds: float) -> Runs:
    """Return what a queue of `FOR UPDATE SKIP LOCKED` does under each load."""
    skip_locked.build(uri, tasks)
    return {
        (clients, count): drive_threads(
            _skip_locked(uri, count), Load(clients=clients, seconds=seconds), _cores()
        )
        for clients, count in shapes
    }


def run_procrastinate(uri: str, tasks: int, shapes: Sequence[Shape], seconds: float) -> Runs:
    """Return what procrastinate does under each load."""
    procrastinate_queue.build(uri, tasks)

    def opening(count: int) -> MakeAsyncClients:
        @asynccontextmanager
        async def opened(numbers: Sequence[int]) -> AsyncIterator[Sequence[AsyncClient]]:
            app = procrastinate_queue.application(uri, len(numbers))
            async with app.open_async():
                yield [
                    procrastinate_queue.ProcrastinateClient(
                        app, await app.job_manager.register_worker(), count
                    )
                    for _ in numbers
                ]

        return opened

    return {
        (clients, count): drive_async_processes(
            opening(count), Load(clients=clients, seconds=seconds), _cores()
        )
        for clients, count in shapes
    }


def beside(mine: Measured, raw: Measured, peer: Measured, shape: Shape) -> list[Figure]:
    """Return how Muster compares with both peers under one load."""
    claim_p99 = _percentile_ms(mine.claim_s, 99) / _percentile_ms(raw.claim_s, 99)
    return [
        at_least(
            f"{_named(shape)}: rate over SKIP LOCKED",
            mine.rate / raw.rate,
            "times",
            OVER_SKIP_LOCKED_MIN,
        ),
        at_least(
            f"{_named(shape)}: rate over procrastinate",
            mine.rate / peer.rate,
            "times",
            OVER_PROCRASTINATE_MIN,
        ),
        at_most(
            f"{_named(shape)}: claim p99 over SKIP LOCKED's",
            claim_p99,
            "share",
            CLAIM_P99_SHARE_MAX,
        ),
    ]


def described(name: str, runs: Runs) -> list[Figure]:
    """Return rate, waiting times and, of what runs in this process, CPU of each load."""
    figures: list[Figure] = []
    for shape, found in runs.items():
        title = f"{name}, {_named(shape)}"
        figures.append(informing(f"{title}: claimed and answered", found.rate, "answers/s"))
        if found.cores is not None:
            cpu_us = found.cores / found.rate * 1e6
            figures += [
                informing(f"{title}: cores used", found.cores, "cores"),
                informing(f"{title}: CPU time of one", cpu_us, "us"),
            ]
        for call, waited in (("claim", found.claim_s), ("answer", found.answer_s)):
            for percent in (50, 99):
                value = _percentile_ms(waited, percent)
                figures.append(informing(f"{title}: {call} p{percent}", value, "ms"))
    return figures


def memory(size: Size) -> list[Figure]:
    """Return what a partition's arrays take for each task, without what is known of workers."""
    empty, answered = muster.bytes_a_task(size.tasks // size.shards, size.labels)
    name = f"state of a task at K={size.labels} (sum of nbytes)"
    return [
        at_most(name, empty, "bytes", BYTES_A_TASK_MAX),
        informing(f"{name}, with an answer to each", answered, "bytes"),
    ]


def push() -> list[Figure]:
    """Return what asking by assignment reaches of the best there is; see `benchmarks.push`."""
    found = small(PUSH_CASES_PER_SHAPE)
    return [replace(figure, name=f"push, {figure.name}") for figure in found]


def _skip_locked(uri: str, count: int) -> MakeClient:
    return lambda number: skip_locked.SkipLockedClient(uri, number, count)


def _percentile_ms(waited: Seconds, percent: int) -> float:
    return float(np.percentile(waited, percent)) * 1e3


def _named(shape: Shape) -> str:
    return f"{shape[0]} clients x {shape[1]}"


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _shape(text: str) -> Shape:
    clients, _, count = text.partition("x")
    return int(clients), int(count)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=100_000)
    parser.add_argument("--shards", type=int, default=1, help="all in this one process")
    parser.add_argument("--labels", type=int, default=10)
    parser.add_argument("--loads", default="64x1,256x1,256x10", help="clients x questions")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    parser.add_argument("--no-larger", dest="larger", action="store_false")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark as the command line asks."""
    asked, console = _asked(), Console(width=120)
    size = Size(tasks=asked.tasks, workers=asked.workers, shards=asked.shards, labels=asked.labels)
    shapes = [_shape(text) for text in asked.loads.split(",")]
    title = f"{size.tasks:,} tasks x {size.workers:,} workers, {size.shards} shard(s)"
    figures: list[Figure] = []
    with TemporaryDirectory(prefix="muster-bench-") as name:
        folder = Path(name)
        with postgresql(folder / "postgresql") as uri:
            figures.append(exactly("commits are on disk when acknowledged", durable(uri), "", 1))
            if asked.peers:
                raw = run_skip_locked(uri, size.tasks, shapes, asked.seconds)
                peer = run_procrastinate(uri, size.tasks, shapes, asked.seconds)
            mine = run_muster(folder / "on-server", uri, size, shapes, asked.seconds)
            figures += described("Muster on PostgreSQL", mine)
            if asked.peers:
                figures += described("SKIP LOCKED", raw) + described("procrastinate", peer)
                for shape in shapes:
                    figures += beside(mine[shape], raw[shape], peer[shape], shape)
        mine = run_muster(folder / "on-sqlite", None, size, shapes, asked.seconds)
        figures += described("Muster on SQLite", mine)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures.append(informing("peak memory of Muster's process, clients within", peak, "MiB"))
    figures += memory(size)
    index = fairness.load_index(workers=1_000, answers=50_000, seed=0)
    figures.append(at_least("Jain's index of answers over equal workers", index, "", JAIN_MIN))
    figures += push()
    if asked.larger:
        with TemporaryDirectory(prefix="muster-bench-") as name:
            figures += run_larger(Path(name), size, shapes, asked.seconds)
    present(f"allocator: {title}", figures, console)


if __name__ == "__main__":
    main()
