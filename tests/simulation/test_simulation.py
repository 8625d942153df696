"""Short seeds for every run of the tests; `python -m tests.simulation` runs any number."""

import pytest

from tests.simulation.fair import run_fair
from tests.simulation.world import Size, World

SEEDS_PER_TEST = 10


@pytest.mark.parametrize("first", range(0, 100, SEEDS_PER_TEST))
def test_every_promise_holds_in_a_chaotic_world(first: int) -> None:
    for seed in range(first, first + SEEDS_PER_TEST):
        world = World(seed, Size())
        try:
            world.run()
        except Exception as error:
            error.add_note(f"repeat with: python -m tests.simulation --seed {seed} --count 1")
            raise


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
