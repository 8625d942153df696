"""How hard the answered items are.

An item of difficulty d takes d off the log odds with which each worker is right (G. Rasch,
Probabilistic Models for Some Intelligence and Attainment Tests, 1960). Errors are even, and the
label is not known but summed over; so a split vote may mean a hard item, and a lone dissenter a
weak worker. Difficulties are normal about what was foretold of each item, or all about 0, with a
spread that makes all answers likeliest: an item of few answers stays near what was foretold, and
where that is as good as answers all do. Beliefs are held on a grid.

What nobody can see is an item that all are wrong about.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from allocation.quality.votes import Floats, Votes

GRID: Floats = np.linspace(-4.0, 4.0, 17)
"""The difficulties that beliefs are held about, in log odds."""

SPREAD_MIN, SPREAD_MAX = 0.2, 3.0
"""Bounds of the standard deviation of difficulties."""

FORETOLD_SPREAD_MIN = 0.5
"""What was foretold is worth some twenty answers at most, however good it is."""

ACCURACY_MIN = 1e-3
"""No worker is right or wrong more surely than this."""


def difficulty(
    votes: Votes, accuracy: Floats, class_prior: Floats, foretold: Floats | None = None
) -> Floats:
    """Return how probably an average worker is wrong about each item, (items,).

    `accuracy` (workers,) is how often each worker is right, `class_prior` (K,), or (items, K), how
    probable labels are before the answers. `foretold` (items,) is how probably an average worker
    was to be wrong; without it, and without answers, an item gets the crowd's error.
    """
    ability = logit(np.clip(accuracy, ACCURACY_MIN, 1.0 - ACCURACY_MIN))
    likelihood = _log_likelihood(votes, ability, np.log(np.maximum(class_prior, 1e-12)))
    average = logit(np.average(expit(ability), weights=_weights(votes)))
    answered = votes.answers_per_item() > 0
    if foretold is None:
        spread = _spread(likelihood[answered], lambda _: np.zeros(1), SPREAD_MIN)
        belief = likelihood + _log_prior(spread, np.zeros(1))
    else:
        lean = logit(foretold)
        of_answered = partial(_centre, average, lean[answered])
        spread = _spread(likelihood[answered], of_answered, FORETOLD_SPREAD_MIN)
        belief = likelihood + _log_prior(spread, _centre(average, lean, spread))
    weights = np.exp(belief - belief.max(axis=1, keepdims=True))
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


def _spread(log_likelihood: Floats, centre: Callable[[float], Floats], least: float) -> float:
    """Return the standard deviation of difficulties that makes the answers likeliest."""

    def loss(log_spread: float) -> float:
        spread = float(np.exp(log_spread))
        prior = _log_prior(spread, centre(spread))
        return -float(np.logaddexp.reduce(log_likelihood + prior, axis=1).sum())

    limits = (float(np.log(least)), float(np.log(SPREAD_MAX)))
    found = minimize_scalar(loss, bounds=limits, method="bounded", options={"xatol": 0.02})
    return float(np.exp(found.x))


def _centre(average: float, lean: Floats, spread: float) -> Floats:
    """Return the mean difficulties under which an average worker errs as foretold, (items,).

    That is an average over difficulties, which draws log odds towards 0 (D. J. C. MacKay, The
    Evidence Framework Applied to Classification Networks, Neural Computation 4(5), 1992).
    """
    return np.asarray(average + lean * np.sqrt(1.0 + np.pi * spread**2 / 8.0))


def _log_prior(spread: float, centre: Floats) -> Floats:
    density = -0.5 * ((GRID - centre[:, None]) / spread) ** 2
    return np.asarray(density - np.logaddexp.reduce(density, axis=1, keepdims=True))


def _weights(votes: Votes) -> Floats:
    """Return how much each worker counts in the average one: as they answer."""
    answers = votes.answers_per_worker().astype(np.float64)
    return answers if len(votes) else np.ones(votes.n_workers)
