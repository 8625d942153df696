"""`python -m benchmarks.truth`: truth inference, by Muster and by crowd-kit in one run.

`--data` (or MUSTER_DATA) names a folder of recorded crowds, `truth/NAME/` and `loop/NAME/`, each
with `answers.parquet` and `truth.parquet`. Every method labels every crowd with one setting; a
method of crowd-kit that takes longer than `--limit-s` on a crowd is ended, and compared on the
others. Speed is that of simulated answers, up to `--answers-max`; `--spread` adds 100 million
answers over Ray tasks.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import ray
from rich.console import Console

from allocation.quality.methods import METHODS
from benchmarks.figures import Figure, present
from benchmarks.inference import accuracy
from benchmarks.inference.recorded import read
from benchmarks.inference.speed import batch_figures, online_figures, spread_figures

SPREAD_ANSWERS, SPREAD_SHEETS = 100_000_000, 10


def accuracy_figures(folder: Path, limit_s: float, console: Console) -> list[Figure]:
    """Label every crowd by every method, print the table, and return what it says."""
    crowds = read(folder, accuracy.CROWDS)
    by_crowd = {crowd.name: accuracy.accuracies(crowd, limit_s) for crowd in crowds}
    scores = {
        name: {crowd: found[name] for crowd, found in by_crowd.items() if name in found}
        for name in (*METHODS, *accuracy.PEERS)
    }
    console.print(accuracy.table(scores, tuple(by_crowd)))
    return accuracy.figures(scores)


def speed_figures(answers_max: int, threads: int) -> Iterator[Figure]:
    """Yield the speed at 1 and 10 million answers, as far as `answers_max` allows."""
    for answers, ratio_min in ((1_000_000, 40.0), (10_000_000, 30.0)):
        if answers <= answers_max:
            for labels, bytes_max in ((2, 12.0), (10, 20.0)):
                yield from batch_figures(
                    answers, labels, threads=threads, ratio_min=ratio_min, bytes_max=bytes_max
                )
    yield from online_figures(1_000_000, 2)
    yield from online_figures(1_000_000, 10)


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    folder = os.environ.get("MUSTER_DATA")
    parser.add_argument("--data", type=Path, default=folder, help="without it, speed alone")
    parser.add_argument("--limit-s", type=float, default=60.0)
    parser.add_argument("--answers-max", type=int, default=10_000_000)
    parser.add_argument("--spread", action="store_true")
    asked, console = parser.parse_args(), Console(width=160)
    found: list[Figure] = []
    if asked.data is not None:
        found += accuracy_figures(asked.data, asked.limit_s, console)
    found += speed_figures(asked.answers_max, len(os.sched_getaffinity(0)))
    if asked.spread:
        with ray.init("local", include_dashboard=False, log_to_driver=False):
            found += spread_figures(SPREAD_ANSWERS, 2, sheets=SPREAD_SHEETS)
    present("truth", found, console)


if __name__ == "__main__":
    main()
