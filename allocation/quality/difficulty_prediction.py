"""How many will get an item wrong, said before anybody answered it.

Two things are seen of an item: how undecided the labelling model is (`entropy`), and how often
answers to similar items were wrong (`neighbourhood`: a kernel average over the encoder's
features, E. A. Nadaraya, On Estimating Regression, Theory Probab. Appl. 9(1), 1964). These
signals are weighed by a logistic ridge regression. What it says of items it has learned from
would flatter, so each fold is foretold by the others, and those predictions are fitted to what
came true (J. Platt, Probabilistic Outputs for Support Vector Machines, 1999). Signals that
foretell nothing end as one probability for all.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from allocation.quality.directions import unit
from allocation.quality.votes import Codes, Floats, Votes

FOLDS = 5
RIDGE = 1.0
"""What a squared weight costs; signals are standardised, and answers count one by one."""

SHARPNESS = 10.0
"""A neighbour counts by exp(10 c), where c is the cosine between the features."""

NEIGHBOURS_MAX = 5_000
CHUNK_ITEMS = 2_048
"""So many items are compared at once with so many others, which bounds memory at 100 MB."""

NEIGHBOUR_STRENGTH = 10.0
"""Answers of an average item that every neighbourhood is taken to hold."""

STEPS_MAX, STEP_MIN = 50, 1e-8
SCALE_MIN = 1e-9

SIMPLE_BELOW, HARD_FROM = 0.15, 0.2
"""A simple item is foretold fewer wrong answers than the first, a hard one the second or more."""

SIMPLE, MEDIUM, HARD = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Outcomes:
    """How answers turned out: of `answers` to each item `wrong` were, (items,) each."""

    wrong: Floats
    answers: Floats

    @classmethod
    def of(cls, votes: Votes, labels: Codes) -> Self:
        """Return how often answers disagree with the consensus `labels` (items,)."""
        return cls._missing(votes, (votes.labels != labels[votes.items]).astype(np.float64))

    @classmethod
    def expected(cls, votes: Votes, posterior: Floats) -> Self:
        """Return how often answers are wrong in expectation, given the posterior (items, K)."""
        return cls._missing(votes, 1.0 - posterior[votes.items, votes.labels])

    @classmethod
    def _missing(cls, votes: Votes, missed: Floats) -> Self:
        wrong = np.bincount(votes.items, missed, minlength=votes.n_items)
        return cls(
            wrong=np.asarray(wrong, dtype=np.float64),
            answers=votes.answers_per_item().astype(np.float64),
        )

    @property
    def share(self) -> float:
        """The share of wrong answers, as if one of three had been wrong before."""
        return float((self.wrong.sum() + 1.0) / (self.answers.sum() + 3.0))

    def at(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Outcomes":
        """Return the outcomes of some items."""
        return Outcomes(wrong=self.wrong[rows], answers=self.answers[rows])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DifficultyModel:
    """Log odds of a wrong answer: `offset`, and `weights` (S,) of standardised signals."""

    centre: Floats
    scale: Floats
    weights: Floats
    offset: float

    def probability(self, signals: Floats) -> Floats:
        """Return the probability that an answer will be wrong, (items,), of signals (items, S)."""
        lean = ((signals - self.centre) / self.scale) @ self.weights
        return np.asarray(expit(self.offset + lean))


def entropy(probabilities: Floats) -> Floats:
    """Return how undecided a model is, (items,), in nats; `probabilities` are (items, K).

    They must be cross-fitted: a model is sure of the items it was trained on.
    """
    floored = np.maximum(probabilities, np.finfo(probabilities.dtype).tiny)
    return np.asarray(-(probabilities * np.log(floored)).sum(axis=1), dtype=np.float64)


def neighbourhood(features: npt.NDArray[np.floating[Any]], outcomes: Outcomes) -> Floats:
    """Return the log odds of wrong answers to similar items, (items,).

    `features` (items, D) are compared by direction. An item's own answers never speak for it. Only
    5,000 answered items at most are compared with, spread evenly over all.
    """
    answered = np.flatnonzero(outcomes.answers)
    past = answered[:: max(1, -(-len(answered) // NEIGHBOURS_MAX))]
    known = outcomes.at(past)
    columns = np.stack([known.wrong, known.answers], axis=1).astype(np.float32)
    others, column_of = unit(features[past]).T, np.full(len(features), -1)
    column_of[past] = np.arange(len(past))
    found = np.empty(len(features))
    for first in range(0, len(features), CHUNK_ITEMS):
        chunk = slice(first, first + CHUNK_ITEMS)
        weight = unit(features[chunk]) @ others
        weight -= 1.0
        weight *= SHARPNESS
        np.exp(weight, out=weight)
        own = np.flatnonzero(column_of[chunk] >= 0)
        weight[own, column_of[chunk][own]] = 0.0
        wrong, answers = (weight @ columns).T.astype(np.float64)
        more = NEIGHBOUR_STRENGTH * weight.max(axis=1, initial=np.finfo(np.float32).tiny)
        found[chunk] = logit((wrong + more * outcomes.share) / (answers + more))
    return found


def learn(signals: Floats, outcomes: Outcomes) -> DifficultyModel:
    """Return a model learned from those among items with signals (items, S) that are answered.

    Without any it says one in three of every item.
    """
    answered = np.flatnonzero(outcomes.answers)
    past, seen = outcomes.at(answered), signals[answered]
    if not len(seen):
        seen = np.zeros((1, signals.shape[1]))
        past = Outcomes(wrong=np.zeros(1), answers=np.zeros(1))
    centre, scale = seen.mean(axis=0), np.maximum(seen.std(axis=0), SCALE_MIN)
    standard, folds = (seen - centre) / scale, np.arange(len(seen)) % FOLDS
    lean = np.empty((len(seen), 1))
    for fold in range(FOLDS):
        others = folds != fold
        lean[~others, 0] = standard[~others] @ _logistic(standard[others], past.at(others))[1:]
    offset, slope = _logistic(lean, past)
    if slope <= 0.0:
        offset, slope = logit(past.share), 0.0
    weights = slope * _logistic(standard, past)[1:]
    return DifficultyModel(centre=centre, scale=scale, weights=weights, offset=float(offset))


def graded(
    probability: Floats, simple_below: float = SIMPLE_BELOW, hard_from: float = HARD_FROM
) -> npt.NDArray[np.int8]:
    """Return SIMPLE, MEDIUM or HARD for each probability, (items,)."""
    bounds = np.array([simple_below, hard_from])
    return np.searchsorted(bounds, probability, side="right").astype(np.int8)


def _logistic(signals: Floats, outcomes: Outcomes) -> Floats:
    """Return the constant and the weights (1 + S,) of a logistic ridge regression.

    By Newton's method. The constant is not held back, but as in `Outcomes.share` one answer of
    three counts as wrong beforehand, so that it is finite.
    """
    design = np.hstack([np.ones((len(signals), 1)), signals])
    penalty = np.append(0.0, np.full(signals.shape[1], RIDGE))
    weights = np.append(logit(outcomes.share), np.zeros(signals.shape[1]))
    for _ in range(STEPS_MAX):
        chance, before = expit(design @ weights), expit(weights[0])
        slope = design.T @ (outcomes.wrong - outcomes.answers * chance) - penalty * weights
        slope[0] += 1.0 - 3.0 * before
        curve = (design.T * (outcomes.answers * chance * (1.0 - chance))) @ design
        curve[np.diag_indices_from(curve)] += penalty
        curve[0, 0] += 3.0 * before * (1.0 - before)
        step = np.linalg.solve(curve, slope)
        weights += step
        if np.abs(step).max() < STEP_MIN:
            break
    return weights
