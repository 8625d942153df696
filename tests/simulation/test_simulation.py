"""Short seeds for every run of the tests; `python -m tests.simulation` runs any number."""

import pytest

from tests.simulation.fair import run_fair
from tests.simulation.world import Size, World

SEEDS_PER_TEST = 10
CROWDED = Size(workers=2_000, items_max=600, steps=120)


@pytest.mark.parametrize("first", range(0, 200, SEEDS_PER_TEST))
def test_every_promise_holds_in_a_chaotic_world(first: int) -> None:
    for seed in range(first, first + SEEDS_PER_TEST):
        run_world(seed, Size())


def test_every_promise_holds_among_thousands_of_workers() -> None:
    worlds = [run_world(seed, CROWDED) for seed in range(3)]

    assert sum(len(world.watch.workers_asked) for world in worlds) >= 500


def run_world(seed: int, size: Size) -> World:
    world = World(seed, size)
    try:
        world.run()
    except Exception as error:
        chosen = f"--workers {size.workers} --items {size.items_max} --steps {size.steps}"
        error.add_note(f"repeat with: make sim SEED={seed} COUNT=1 SIZE='{chosen}'")
        raise
    return world


def test_shares_are_fair_within_the_stated_bound() -> None:
    for seed in range(20):
        try:
            run_fair(seed)
        except AssertionError as error:
            error.add_note(f"the seed is {seed}")
            raise


def test_the_same_seed_gives_the_same_history() -> None:
    first, second = (World(7, Size(steps=80)) for _ in range(2))
    first.run()
    second.run()

    assert list(first.watch.stored.items()) == list(second.watch.stored.items())
    assert first.clock.time == second.clock.time
