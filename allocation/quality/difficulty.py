"""How hard the answered items are.

An item of difficulty d takes d off the log odds with which each worker is right (G. Rasch,
Probabilistic Models for Some Intelligence and Attainment Tests, 1960). Errors are even, and the
label is not known but summed over; so a split vote may mean a hard item, and a lone dissenter a
weak worker. Difficulties are normal about 0 with a spread that makes all answers likeliest: an item
of few answers stays near the others, and where items are alike all do. Beliefs are held on a grid.

What nobody can see is an item that all are wrong about.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from allocation.quality.votes import Floats, Votes

GRID: Floats = np.linspace(-4.0, 4.0, 17)
"""The difficulties that beliefs are held about, in log odds."""

SPREAD_MIN, SPREAD_MAX = 0.2, 3.0
"""Bounds of the standard deviation of difficulties."""

ACCURACY_MIN = 1e-3
"""No worker is right or wrong more surely than this."""


def difficulty(votes: Votes, accuracy: Floats, class_prior: Floats) -> Floats:
    """Return how probably an average worker is wrong about each item, (items,).

    `accuracy` (workers,) is how often each worker is right, `class_prior` (K,), or (items, K), how
    probable labels are before the answers. An item without answers gets the crowd's error.
    """
    ability = logit(np.clip(accuracy, ACCURACY_MIN, 1.0 - ACCURACY_MIN))
    likelihood = _log_likelihood(votes, ability, np.log(np.maximum(class_prior, 1e-12)))
    belief = likelihood + _log_prior(_spread(likelihood[votes.answers_per_item() > 0]))
    weights = np.exp(belief - belief.max(axis=1, keepdims=True))
    average = logit(np.average(expit(ability), weights=_weights(votes)))
    return np.asarray(weights @ expit(GRID - average) / weights.sum(axis=1))


def _log_likelihood(votes: Votes, ability: Floats, log_class_prior: Floats) -> Floats:
    """Return log P(answers of the item | difficulty), (items, 17).

    Right and wrong answers differ in log odds by the ability less the difficulty, so that of every
    label only the number of its votes and the sum of their abilities matter.
    """
    counts = votes.counts()
    lean = votes.counts(ability) + np.log(max(votes.n_labels - 1, 1)) * counts + log_class_prior
    found = np.empty((votes.n_items, len(GRID)))
    for place, shift in enumerate(GRID):
        log_wrong = -np.logaddexp(0.0, ability - shift) - np.log(max(votes.n_labels - 1, 1))
        base = np.bincount(votes.items, log_wrong[votes.workers], minlength=votes.n_items)
        joint = lean - shift * counts
        top = joint.max(axis=1)
        found[:, place] = base + top + np.log(np.exp(joint - top[:, None]).sum(axis=1))
    return found


def _spread(log_likelihood: Floats) -> float:
    """Return the standard deviation of difficulties that makes the answers likeliest."""

    def loss(log_spread: float) -> float:
        evidence = np.logaddexp.reduce(log_likelihood + _log_prior(np.exp(log_spread)), axis=1)
        return -float(evidence.sum())

    limits = (float(np.log(SPREAD_MIN)), float(np.log(SPREAD_MAX)))
    found = minimize_scalar(loss, bounds=limits, method="bounded", options={"xatol": 0.02})
    return float(np.exp(found.x))


def _log_prior(spread: float) -> Floats:
    density = -0.5 * (GRID / spread) ** 2
    return np.asarray(density - np.logaddexp.reduce(density))


def _weights(votes: Votes) -> Floats:
    """Return how much each worker counts in the average one: as they answer."""
    answers = votes.answers_per_worker().astype(np.float64)
    return answers if len(votes) else np.ones(votes.n_workers)
