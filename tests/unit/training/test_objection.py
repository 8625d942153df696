"""A crowd that is wrong by some rule cannot certify its own pupil; a better model still passes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, get_args

import numpy as np
import numpy.typing as npt

from training.judging import Drawn
from training.objection import Objection, objection
from training.promotion import PromotionDecision, decide

SEEDS = range(50)
AUDITED, TAUGHT = 80, 400
ITEMS = AUDITED + TAUGHT
WORKER_RIGHT = 0.79

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def right(labels: Labels, share: float, rng: np.random.Generator) -> Labels:
    """Return labels of which a share is kept, and the others are the other of two."""
    return np.where(rng.random(len(labels)) < share, labels, 1 - labels)


def said(labels: Labels, rng: np.random.Generator) -> Floats:
    """Return probabilities (n, 2) of a model that says these labels, more or less surely."""
    top = rng.uniform(0.6, 0.95, len(labels))
    return np.where(labels[:, None] == np.arange(2), top[:, None], 1.0 - top[:, None])


def crowd(labels: Labels, answers: int, rng: np.random.Generator) -> Floats:
    """Return the posterior (n, 2) of so many honest answers to each item."""
    for_label = rng.binomial(answers, WORKER_RIGHT, len(labels)) * 2 - answers
    top = 1.0 / (1.0 + ((1.0 - WORKER_RIGHT) / WORKER_RIGHT) ** for_label)
    return np.where(labels[:, None] == np.arange(2), top[:, None], 1.0 - top[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class Pupil:
    """A job of which the first items are audited honestly, and the crowd taught a candidate.

    The live model is right on .76 of the items.
    """

    live: Floats
    candidate: Floats
    posterior: Floats

    @classmethod
    def of_wrong_crowd(cls, seed: int, wrong: float) -> Self:
        """Return a candidate that agrees on .8 of the items with a crowd that is often wrong."""
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, ITEMS)
        believed = right(labels, 1.0 - wrong, rng)
        posterior = np.where(believed[:, None] == np.arange(2), 0.95, 0.05)
        posterior[:AUDITED] = crowd(labels[:AUDITED], 3, rng)
        live, candidate = right(labels, 0.76, rng), right(believed, 0.8, rng)
        return cls(said(live, rng), said(candidate, rng), posterior)

    @classmethod
    def of_honest_crowd(cls, seed: int, skill: float) -> Self:
        """Return a candidate that is right on a share of the items."""
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, ITEMS)
        posterior = crowd(labels, 2, rng)
        posterior[:AUDITED] = crowd(labels[:AUDITED], 3, rng)
        live, candidate = right(labels, 0.76, rng), right(labels, skill, rng)
        return cls(said(live, rng), said(candidate, rng), posterior)

    @property
    def drawn(self) -> Drawn:
        every = np.arange(ITEMS)
        return Drawn.by_sureness(self.live.max(axis=1), every, every < AUDITED)

    @property
    def decision(self) -> PromotionDecision:
        return decide(self.live, self.candidate, self.posterior, drawn=self.drawn)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many of some candidates were promoted, and how many would be if nobody objected."""

    promoted: int
    unopposed: int

    @classmethod
    def of(cls, pupils: Iterable[Pupil]) -> Self:
        reasons = [pupil.decision.reason for pupil in pupils]
        passed = reasons.count("better")
        objected = sum(reason in get_args(Objection) for reason in reasons)
        return cls(promoted=passed, unopposed=passed + objected)


def test_a_wrong_crowd_never_gets_its_own_pupil_promoted() -> None:
    # Given a crowd that is wrong on 35 % of the items, and candidates 17 points worse by it
    found = Outcomes.of(Pupil.of_wrong_crowd(seed, 0.35) for seed in SEEDS)

    # Then its own word would promote them, and none passes
    assert found.unopposed >= 0.95 * len(SEEDS)
    assert found.promoted == 0


def test_of_pupils_of_a_less_wrong_crowd_few_pass() -> None:
    """They are 8 points worse than the live model."""
    found = Outcomes.of(Pupil.of_wrong_crowd(seed, 0.2) for seed in SEEDS)

    assert found.unopposed >= 0.9 * len(SEEDS)
    assert found.promoted <= 0.1 * len(SEEDS)


def test_a_better_candidate_passes_nearly_as_often_as_if_nobody_objected() -> None:
    found = Outcomes.of(Pupil.of_honest_crowd(seed, 0.86) for seed in SEEDS)

    assert found.unopposed >= 0.5 * len(SEEDS)
    assert found.promoted >= 0.9 * found.unopposed


def test_audited_items_alone_may_refuse_a_candidate() -> None:
    gains = np.concatenate([np.full(10, -0.8), np.full(10, 0.0)])

    assert objection(gains, Drawn.alike(20)) == "worse on audited items"
    assert objection(-gains, Drawn.alike(20)) is None
    assert objection(np.zeros(20), Drawn.alike(20)) is None


def test_a_gain_on_taught_items_alone_is_not_believed() -> None:
    # Given as many gains as losses on audited items, and gains alone on taught ones
    gains = np.concatenate([np.tile([0.5, -0.5], 20), np.tile([0.5, 0.4], 100)])
    rows = np.arange(240)
    drawn = Drawn.by_sureness(np.full(240, 0.5), rows, rows < 40)

    assert objection(gains, drawn) == "its gain is not that on audited items"
    assert objection(np.abs(gains), drawn) is None


def test_without_audited_items_nobody_objects() -> None:
    rows = np.arange(50)
    drawn = Drawn.by_sureness(np.full(50, 0.5), rows, np.zeros(50, np.bool_))

    assert objection(np.ones(50), drawn) is None
