"""Short seeds for every run of the tests.

`make sim SEED=n COUNT=m` runs any number; `SIZE="--workers 2000 --items 600 --steps 120"` repeats
a seed of the crowded worlds.
"""

import pytest

from tests.simulation.fair import widest_gap
from tests.simulation.world import Size, World

CROWDED = Size(workers=2_000, items_max=600, steps=120)


@pytest.mark.parametrize("seed", range(200))
def test_every_promise_holds_in_a_chaotic_world(seed: int) -> None:
    # Given shards that crash, a log that fails, and workers who cheat, vanish and repeat themselves
    world = World(seed, Size())

    # When they live to the end, every invariant checked after every step
    world.run()

    # Then no acknowledged answer was lost
    assert world.watch.acknowledged.items() <= world.watch.stored.items()


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_every_promise_holds_among_thousands_of_workers(seed: int) -> None:
    world = World(seed, CROWDED)
    world.run()

    assert world.watch.acknowledged.items() <= world.watch.stored.items()
    assert len(world.watch.acknowledged) > 0
    assert len(world.watch.workers_asked) > 2 * Size().workers


@pytest.mark.parametrize("seed", range(20))
def test_shares_are_fair_within_the_stated_bound(seed: int) -> None:
    assert widest_gap(seed) <= 1.0 + 1e-9


def test_the_same_seed_gives_the_same_history() -> None:
    first, second = (World(7, Size(steps=80)) for _ in range(2))
    first.run()
    second.run()

    assert list(first.watch.stored.items()) == list(second.watch.stored.items())
    assert first.clock.time == second.clock.time
