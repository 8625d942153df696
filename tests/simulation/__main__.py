"""Run seeds: `python -m tests.simulation --seed 0 --count 1000 [--workers 2000 ...]`."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.simulation.fair import widest_gap
from tests.simulation.world import Size, World


def main() -> None:
    """Run every seed; at the first failure print its seed and how to repeat it."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--workers", type=int, default=Size().workers)
    parser.add_argument("--items", type=int, default=Size().items_max)
    parser.add_argument("--steps", type=int, default=Size().steps)
    chosen = parser.parse_args()
    size = Size(workers=chosen.workers, items_max=chosen.items, steps=chosen.steps)
    stored = 0
    for seed in range(chosen.seed, chosen.seed + chosen.count):
        with told_if_it_fails(seed):
            world = World(seed, size)
            world.run()
            gap = widest_gap(seed)
            assert gap <= 1.0 + 1e-9, f"shares stray to {gap:.2f} of their bound"
            stored += len(world.watch.stored)
    sys.stdout.write(f"{chosen.count} seeds from {chosen.seed}: {stored} answers, all well\n")


@contextmanager
def told_if_it_fails(seed: int) -> Iterator[None]:
    """Name the seed in whose world something breaks."""
    failed = True
    try:
        yield
        failed = False
    finally:
        if failed:
            sys.stderr.write(f"FAILED: seed {seed}; repeat it with --seed {seed} --count 1\n")


if __name__ == "__main__":
    main()
