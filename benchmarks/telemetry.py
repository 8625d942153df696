"""What figures cost in CPU time: one call of the port through Ray, a request, a shard's batch.

Run with `python -m benchmarks.telemetry`. It starts a small Ray of its own. The share is of the
time that a shard itself takes for a batch of as many answers, by `benchmarks.allocator`.
"""

from collections.abc import Callable
from time import thread_time
from typing import Annotated

import typer
from rich.console import Console

from allocation.ports import Outcome
from allocation.tally import ShardTally
from benchmarks.figures import Figure, at_most, informing, present
from cluster.clock import SystemClock
from cluster.domain.ids import ShardId, WorkerId
from cluster.runtime import joined_ray
from cluster.settings import RaySettings
from cluster.telemetry.catalogue import HTTP_REQUESTS, HTTP_SECONDS, LEASES_OUT
from cluster.telemetry.runtime import RayTelemetry

BATCH_ANSWERS = 64
ANSWER_US = 102.0
"""CPU time of a shard for a claim and an answer at a load of 256x1, by `benchmarks.allocator`."""

SHARE_MAX = 0.02
FIGURE_US_MAX = 50.0


def main(repeats: Annotated[int, typer.Option(min=100)] = 20_000) -> None:
    """Measure and print."""
    with joined_ray(RaySettings(cpus=4)):
        figures = _figures(repeats)
    present("telemetry", figures, Console(stderr=True))


def _figures(repeats: int) -> list[Figure]:
    telemetry = RayTelemetry()
    tally = ShardTally(telemetry, ShardId(0), SystemClock())
    workers = [WorkerId(f"worker-{number}") for number in range(BATCH_ANSWERS)]
    replies = [(Outcome(token="t"),)] * BATCH_ANSWERS  # noqa: S106

    def request() -> None:
        telemetry.count(HTTP_REQUESTS, method="GET", route="/v1/jobs", status="200")
        telemetry.observe(HTTP_SECONDS, 0.004, route="/v1/jobs")

    def batch() -> None:
        tally.claimed(workers, [1] * BATCH_ANSWERS)
        tally.wrote(0.003)
        tally.answered(workers, replies)

    figure_us = _mean_us(lambda: telemetry.set(LEASES_OUT, 1.0, shard="0"), repeats)
    batch_us = _mean_us(batch, max(repeats // 10, 1))
    share = batch_us / (BATCH_ANSWERS * ANSWER_US)
    return [
        at_most("one figure", figure_us, "us", FIGURE_US_MAX),
        informing("figures of one HTTP request", _mean_us(request, repeats), "us"),
        informing(f"figures of {BATCH_ANSWERS} claims and answers", batch_us, "us"),
        at_most("share of a shard's time", share, "", SHARE_MAX),
    ]


def _mean_us(work: Callable[[], None], repeats: int) -> float:
    work()
    started_at = thread_time()
    for _ in range(repeats):
        work()
    return (thread_time() - started_at) / repeats * 1e6


if __name__ == "__main__":
    typer.run(main)
