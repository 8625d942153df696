"""How sure one may be of a worker: accuracy and confusion with credible intervals.

A worker who is right with probability a says what the others make of the item with likelihood

    a q_l + (1 - a) (1 - q_l) / (K - 1)

where q is the item's posterior without this worker's own answer l: doubt about labels is part of
the evidence, and nobody is their own witness. What was
believed of a worker before comes from `allocation.quality.ability`. Beliefs about one number need
no approximation: they are held on a grid.

A row of a confusion matrix is Dirichlet, with the prior of `dawid_skene`'s `pooled` (H.-C. Kim,
Z. Ghahramani: Bayesian Classifier Combination, AISTATS 2012).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, betaln

from allocation.quality.dawid_skene import POOLED_STRENGTH, pooled_confusion
from allocation.quality.votes import Codes, Fit, Floats, Votes

GRID: Floats = np.linspace(0.005, 0.995, 100)
"""The accuracies that beliefs are held about."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Beta:
    """A belief about accuracies: means, (workers,) or (1,) for all, each of `strength` answers."""

    mean: Floats
    strength: float

    def log_density(self) -> Floats:
        """Return the log density on GRID, (workers, 100) or (1, 100)."""
        mean = self.mean[:, None]
        a, b = mean * self.strength, (1.0 - mean) * self.strength
        density = (a - 1.0) * np.log(GRID) + (b - 1.0) * np.log1p(-GRID) - betaln(a, b)
        return np.asarray(density)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evidence:
    """What answers say of each worker: log likelihood of every accuracy of GRID, (workers, 100)."""

    log_likelihood: Floats
    answers: Codes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Accuracies:
    """Mean accuracy of each worker, and the interval that holds it, (workers,) each."""

    answers: Codes
    mean: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Confusions:
    """P(answer | truth) as [worker, truth, answer] with an interval a cell, (workers, K, K)."""

    mean: Floats
    lower: Floats
    upper: Floats


def evidence(votes: Votes, fit: Fit) -> Evidence:
    """Return what the answers say of their workers, given what the others make of the items."""
    agreed = _belief_of_others(votes, fit)
    missed = (1.0 - agreed) / max(votes.n_labels - 1, 1)
    found = np.empty((votes.n_workers, len(GRID)))
    for place, accuracy in enumerate(GRID):
        log_likelihood = np.log(accuracy * agreed + (1.0 - accuracy) * missed)
        found[:, place] = np.bincount(votes.workers, log_likelihood, minlength=votes.n_workers)
    return Evidence(log_likelihood=found, answers=votes.answers_per_worker())


def accuracies(found: Evidence, prior: Beta, level: float = 0.95) -> Accuracies:
    """Return how accurate workers are, given what was believed of them before.

    An interval holds a worker's accuracy with probability `level`. Raises ValueError for a level
    that is no probability.
    """
    tail = (1.0 - _checked(level)) / 2.0
    belief = found.log_likelihood + prior.log_density()
    weights = np.exp(belief - belief.max(axis=1, keepdims=True))
    below = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    return Accuracies(
        answers=found.answers,
        mean=np.diff(below, axis=1, prepend=0.0) @ GRID,
        lower=_quantile(below, tail),
        upper=_quantile(below, 1.0 - tail),
    )


def confusions(counts: Floats, level: float = 0.95) -> Confusions:
    """Return confusions from `dawid_skene.expected_counts`, (workers, K, K).

    A class that a worker never met gets the crowd's row and wide intervals. Labels count as known:
    counts do not tell how doubtful they are. Raises ValueError for a level that is no probability.
    """
    tail = (1.0 - _checked(level)) / 2.0
    right = counts + POOLED_STRENGTH * np.exp(pooled_confusion(counts))
    total = right.sum(axis=2, keepdims=True)
    wrong = np.maximum(total - right, np.finfo(np.float64).tiny)
    lower, upper = (np.asarray(betaincinv(right, wrong, share)) for share in (tail, 1.0 - tail))
    return Confusions(mean=right / total, lower=lower, upper=upper)


def _belief_of_others(votes: Votes, fit: Fit) -> Floats:
    """Return for each answer the probability that it is right without its own word, (answers,)."""
    log_others = np.log(np.maximum(fit.posterior, np.finfo(np.float64).tiny))[votes.items]
    log_others -= fit.log_confusion[votes.workers, :, votes.labels]
    log_others -= np.logaddexp.reduce(log_others, axis=1, keepdims=True)
    return np.asarray(np.exp(log_others[np.arange(len(votes)), votes.labels]))


def _quantile(below: Floats, share: float) -> Floats:
    """Return where the distributions (workers, 100), even within each step, reach a share."""
    place = (below < share).sum(axis=1).clip(max=len(GRID) - 1)
    rows = np.arange(len(below))
    after = below[rows, place]
    before = np.where(place > 0, below[rows, place - 1], 0.0)
    inside = (share - before) / np.maximum(after - before, np.finfo(np.float64).tiny)
    return np.asarray((place + inside.clip(0.0, 1.0)) / len(GRID))


def _checked(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    return level
