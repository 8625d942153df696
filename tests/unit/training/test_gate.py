"""The gate over models that were really trained: worse ones and twins do not pass, in 50 seeds."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.training.worlds import Points
from training.data import TrainingData
from training.promotion import PromotionDecision, decide
from training.recipes import text_head
from training.step import fit

SEEDS = range(50)
FOLDS = 2
RECIPE = replace(text_head(), folds=FOLDS)
SPREAD = 2.5
"""Clouds that overlap, so that a trained head is right on about two thirds."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What three heads say of 120 audited items, and what their audit answers say."""

    audit: Floats
    live: Floats
    twin: Floats
    shuffled: Floats

    @classmethod
    def of(cls, seed: int) -> "Trained":
        audit = Points.draw(120, seed=1_000 + seed, spread=SPREAD)
        rng = np.random.default_rng(seed)
        data = Points.draw(150, seed=seed, spread=SPREAD).training_data(FOLDS, noise=0.2)

        def said(data: TrainingData) -> Floats:
            return fit(RECIPE, data, seed=0).predict(audit.features)

        return cls(
            audit=audit.targets(0.1, seed),
            live=said(data),
            twin=said(replace(data, folds=rng.integers(0, FOLDS, len(data.folds)))),
            shuffled=said(replace(data, targets=rng.permutation(data.targets))),
        )


@pytest.fixture(scope="module")
def trained() -> list[Trained]:
    return [Trained.of(seed) for seed in SEEDS]


def promoted(decisions: list[PromotionDecision]) -> int:
    return sum(decision.promote for decision in decisions)


def test_a_head_trained_on_shuffled_labels_is_never_promoted(trained: list[Trained]) -> None:
    assert promoted([decide(each.live, each.shuffled, each.audit) for each in trained]) == 0


def test_one_of_two_equal_models_is_never_promoted_over_the_other(trained: list[Trained]) -> None:
    # Given heads of the same items with other folds, of which some are better than others by chance
    assert sum(not np.array_equal(each.live, each.twin) for each in trained) >= 0.8 * len(SEEDS)

    # When each item's predictions change hands by the toss of a coin, so that neither is better
    decisions = []
    for seed, each in zip(SEEDS, trained, strict=True):
        toss = np.random.default_rng(seed).random((len(each.audit), 1)) < 0.5
        one = np.where(toss, each.twin, each.live)
        other = np.where(toss, each.live, each.twin)
        decisions.append(decide(one, other, each.audit))

    # Then none passes
    assert promoted(decisions) == 0


def test_a_head_replaces_one_trained_on_shuffled_labels(trained: list[Trained]) -> None:
    """The gate is shut to the worse ones, and not to all."""
    decisions = [decide(each.shuffled, each.live, each.audit) for each in trained]

    assert promoted(decisions) >= 0.9 * len(SEEDS)
