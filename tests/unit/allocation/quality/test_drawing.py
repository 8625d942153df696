"""Draws with unequal probabilities: without bias, whatever was drawn before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.quality.bound import Draws
from allocation.quality.control import Scores, controlled, estimated
from allocation.quality.drawing import Drawing
from allocation.quality.votes import Codes, Floats

LEVELS = np.array([0.5, 1.0, 3.0])


class Population:
    """Items with beliefs, values and weights, some of them drawn already."""

    def __init__(self, seed: int, items: int, before: int) -> None:
        rng = np.random.default_rng(seed)
        self.weights = rng.choice(LEVELS, items)
        self.believed = rng.uniform(0.0, 1.0, items)
        self.right = (rng.random(items) < self.believed).astype(np.float64)
        order = (rng.exponential(size=items) / self.weights).argsort()
        self.before, self.left = order[:before], order[before:]
        self.noise = rng.choice([-0.5, 0.5], before)

    def draws(self, following: int, *, exact: bool) -> Draws:
        """The draws so far and one more, of this item; audits are noisy unless exact."""
        rows: Codes = np.append(self.before, following)
        noise = np.zeros(len(rows)) if exact else np.append(self.noise, 0.0)
        lowest = 0.0 if exact else -0.5
        scores = Scores(
            values=self.right[rows] + noise,
            floor=np.full(len(rows), lowest),
            variance=noise**2,
        )
        drawing = Drawing.of(rows, self.weights)
        return controlled(scores, drawing, self.believed, planned=len(rows), exact=exact)

    def outcomes(self, *, exact: bool) -> tuple[Floats, Floats, Floats]:
        """Probability, score and floor of the next draw, for each item it may be of."""
        drawn = [self.draws(int(item), exact=exact) for item in self.left]
        chance = self.weights[self.left] / self.weights[self.left].sum()
        return (
            chance,
            np.array([draws.scores[-1] for draws in drawn]),
            np.array([draws.floor[-1] for draws in drawn]),
        )


populations = st.builds(
    lambda seed, items, share: Population(seed, items, int(share * items)),
    st.integers(0, 10_000),
    st.integers(2, 25),
    st.floats(0.0, 0.95),
)


@given(populations)
def test_where_scores_are_exact_the_next_one_has_the_mean_of_all(population: Population) -> None:
    chance, scores, floors = population.outcomes(exact=True)

    assert chance @ scores == pytest.approx(population.right.mean())
    assert np.ptp(floors) < 1e-9, "nothing may be known of the next item but its odds"
    assert (scores >= floors - 1e-9).all()


@given(populations)
def test_where_they_are_noisy_those_left_of_a_class_speak_for_all_of_it(
    population: Population,
) -> None:
    chance, scores, floors = population.outcomes(exact=False)

    weights, left = population.weights, population.left
    expected = sum(
        (weights == level).mean() * population.right[left][weights[left] == level].mean()
        for level in np.unique(weights[left])
    )
    assert chance @ scores == pytest.approx(expected)
    assert np.ptp(floors) < 1e-9
    assert (scores >= floors - 1e-9).all()


def test_a_part_of_the_items_is_drawn_in_the_same_way() -> None:
    # Given all orders in which three of four items may come, with their probabilities
    weights = np.array([1.0, 1.0, 3.0, 0.5])
    firsts = np.zeros(4)
    for first in range(4):
        for second in set(range(4)) - {first}:
            chance = weights[first] / weights.sum()
            chance *= weights[second] / (weights.sum() - weights[first])

            # When only the last three count
            inside = [item for item in (first, second) if item > 0]
            firsts[inside[0]] += chance

    # Then the first of them is drawn by the weights of these alone
    assert firsts[1:] == pytest.approx(weights[1:] / weights[1:].sum())


def test_the_estimate_is_right_in_the_mean_and_exact_once_all_are_drawn() -> None:
    # Given labels of which those in doubt are wrong more often, and drawn more often
    rng = np.random.default_rng(3)
    believed = rng.choice([0.6, 0.99], 600)
    right = (rng.random(600) < believed - 0.05).astype(np.float64)
    weights = np.where(believed < 0.9, 3.0, 1.0)

    # When 100 of them, or all, are audited
    def estimate(count: int) -> float:
        rows = (rng.exponential(size=600) / weights).argsort()[:count]
        none = np.zeros(count)
        scores = Scores(values=right[rows], floor=none, variance=none)
        return estimated(scores, Drawing.of(rows, weights), believed)

    found = [estimate(100) for _ in range(400)]

    # Then the accuracy is found: within four standard errors, or to the last digit
    assert abs(np.mean(found) - right.mean()) < 4.0 * np.std(found) / 20.0
    assert estimate(600) == pytest.approx(right.mean())
