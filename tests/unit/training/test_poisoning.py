"""Answers that are wrong on purpose, in what a candidate learns from and in what judges it."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.training.worlds import Points, World
from training.building import build_snapshot
from training.local import LocalTrainer
from training.model import CrossFitted
from training.plan import TrainingPlan
from training.recipes import recipe_of, text_head
from training.step import fit

SEEDS = range(20)
CLASSES = 3
FOLDS = 2
RECIPE = replace(text_head(), folds=FOLDS)
SPREAD = 2.5
"""Clouds that overlap, so that a trained head is right on about two thirds."""

LOSS_MAX = 0.01
"""Of accuracy, at the mean over the seeds, beside the model that was live before."""

POISON_FOUND = 0.05
"""Of so much poison no candidate costs more; of a fifth, all towards one class, some do."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of one poisoned candidate; accuracies are on items that nobody has seen."""

    promoted: bool
    live: float
    candidate: float

    @property
    def loss(self) -> float:
        """How much less often the model that is live now is right than the one before."""
        return self.live - self.candidate if self.promoted else 0.0


def poisoned(points: Points, share: float, towards: int | None, seed: int) -> Floats:
    """Return a crowd's sure posteriors of which a share is for a wrong class, or for one class.

    As if every poisoner were believed: nothing of what finds and discounts bad workers takes part.
    """
    rng = np.random.default_rng(seed)
    hit = rng.random(len(points.labels)) < share
    wrong = (points.labels + rng.integers(1, CLASSES, len(points.labels))) % CLASSES
    said = np.where(hit, wrong if towards is None else towards, points.labels)
    targets = np.full((len(said), CLASSES), 0.05 / (CLASSES - 1), np.float32)
    targets[np.arange(len(said)), said] = 0.95
    return targets


def outcome(
    share: float, towards: int | None, items: int, seed: int, *, of_audits: float | None = None
) -> Outcome:
    """Train a candidate on a job's poisoned answers, and let the gate judge it by that very job.

    Its audits, a fourth of the items, are poisoned alike; `of_audits` is their share where it is
    another one.
    """
    fresh = Points.draw(3_000, seed=5_000 + seed, spread=SPREAD)
    clean = Points.draw(150, seed=seed, spread=SPREAD).training_data(FOLDS)
    live = fit(RECIPE, clean, seed=0)
    points = Points.draw(items, seed=1_000 + seed, spread=SPREAD)
    world = World.told(
        points,
        live.predict(points.features),
        poisoned(points, share, towards, 2_000 + seed),
        poisoned(points, share if of_audits is None else of_audits, towards, 3_000 + seed),
    )
    snapshot = build_snapshot(world.stores, world.job, 1)
    plan = TrainingPlan(snapshot=snapshot, recipe=recipe_of(world.job.spec), seed=0)
    trained = LocalTrainer(world.stores.objects).fit(plan)
    candidate = CrossFitted.load(trained.weights)
    live_accuracy, accuracy = (
        float((model.predict(fresh.features).argmax(axis=1) == fresh.labels).mean())
        for model in (live, candidate)
    )
    verdict = world.judged(trained.judged_probabilities)
    return Outcome(promoted=verdict.promote, live=live_accuracy, candidate=accuracy)


@pytest.mark.parametrize("towards", [None, 0], ids=["any class", "one class"])
@pytest.mark.parametrize("share", [0.05, 0.2])
def test_poisoned_answers_cost_no_point_at_the_mean(share: float, towards: int | None) -> None:
    # Given candidates of the same items as the live model, and of twice as many, poisoned
    outcomes = [outcome(share, towards, items, seed) for seed in SEEDS for items in (200, 400)]
    # Then what the gate lets through costs little, as a rule: poisoned audits object to no poison
    costly = sum(each.promoted and each.loss > LOSS_MAX for each in outcomes)
    assert costly <= 0.15 * len(outcomes)
    assert np.mean([each.loss for each in outcomes]) <= LOSS_MAX
    if share <= POISON_FOUND:
        assert max(each.loss for each in outcomes) <= LOSS_MAX


def test_honest_audits_never_let_a_candidate_of_poison_pass() -> None:
    outcomes = [outcome(0.6, None, 200, seed, of_audits=0.0) for seed in SEEDS]
    assert np.mean([each.live - each.candidate for each in outcomes]) > 0.1
    assert sum(each.promoted for each in outcomes) == 0
