"""Run seeds: `python -m tests.simulation --seed 0 --count 1000 [--workers 2000 ...]`."""

import argparse
import sys

from tests.simulation.fair import run_fair
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
        world = World(seed, size)
        try:
            world.run()
            run_fair(seed)
        except Exception:
            sys.stderr.write(f"FAILED: seed {seed}; repeat it with --seed {seed} --count 1\n")
            raise
        stored += len(world.watch.stored)
    sys.stdout.write(f"{chosen.count} seeds from {chosen.seed}: {stored} answers, all well\n")


if __name__ == "__main__":
    main()
