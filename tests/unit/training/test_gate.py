"""The gate over models that were really trained, snapshots and all, in 50 seeds: worse ones do not
pass, and twins hardly ever."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.training.worlds import Points, World
from training.data import TrainingData
from training.promotion import CONFIDENCE, PromotionDecision
from training.recipes import text_head
from training.step import fit

SEEDS = range(50)
ITEMS = 320
"""Of which a fourth is audited, and the others teach."""

FOLDS = 2
RECIPE = replace(text_head(), folds=FOLDS)
SPREAD = 2.5
"""Clouds that overlap, so that a trained head is right on about two thirds."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A job's items, what its crowd and its audit say of them, and what a live head does."""

    seed: int
    points: Points
    believed: Floats
    audit: Floats
    live: Floats

    @classmethod
    def of(cls, seed: int) -> "Job":
        points = Points.draw(ITEMS, seed=1_000 + seed, spread=SPREAD)
        learnt = Points.draw(150, seed=seed, spread=SPREAD).training_data(FOLDS, noise=0.2)
        live = fit(RECIPE, learnt, seed=0).predict(points.features)
        return cls(seed, points, points.targets(0.2, seed), points.targets(0.1, seed + 1), live)

    def head(self, believed: Floats) -> Floats:
        """Return what a head says of the items that has learnt them by folds of its own."""
        folds = np.random.default_rng(self.seed).integers(0, FOLDS, ITEMS)
        taught = np.arange(ITEMS) % 4 > 0
        data = TrainingData(
            features=self.points.features[taught],
            targets=believed[taught],
            weights=np.ones(int(taught.sum()), np.float32),
            folds=folds[taught],
        )
        return fit(RECIPE, data, seed=0).predict(self.points.features, folds)

    def world(self, live: Floats, believed: Floats) -> World:
        return World.told(self.points, live, believed, self.audit)

    @property
    def shuffled(self) -> Floats:
        """What the crowd said, of other items."""
        return np.random.default_rng(self.seed).permutation(self.believed)


@pytest.fixture(scope="module")
def jobs() -> list[Job]:
    return [Job.of(seed) for seed in SEEDS]


def promoted(decisions: list[PromotionDecision]) -> int:
    return sum(decision.promote for decision in decisions)


def test_a_head_trained_on_shuffled_labels_is_never_promoted(jobs: list[Job]) -> None:
    worlds = [job.world(job.live, job.shuffled) for job in jobs]

    assert promoted([world.judged(world.candidate()) for world in worlds]) == 0


def test_one_of_two_equal_models_is_promoted_no_more_often_than_the_gate_says(
    jobs: list[Job],
) -> None:
    # Given heads of the same items with other folds, of which some are better than others by chance
    decisions, others = [], 0
    for job in jobs:
        first = job.head(job.believed)
        second = job.world(job.live, job.believed).candidate()
        others += not np.array_equal(first, second)
        # When each item's predictions change hands by the toss of a coin, so that neither is better
        toss = np.random.default_rng(job.seed).random((ITEMS, 1)) < 0.5
        live, candidate = np.where(toss, first, second), np.where(toss, second, first)
        decisions.append(job.world(live, job.believed).judged(candidate))

    # Then at most one in forty passes
    assert others >= 0.8 * len(SEEDS)
    assert promoted(decisions) <= (1.0 - CONFIDENCE) * len(SEEDS)


def test_a_head_replaces_one_trained_on_shuffled_labels(jobs: list[Job]) -> None:
    """The gate is shut to the worse ones, and not to all."""
    decisions = []
    for job in jobs:
        world = job.world(job.head(job.shuffled), job.believed)
        decisions.append(world.judged(world.candidate()))

    assert promoted(decisions) >= 0.9 * len(SEEDS)
