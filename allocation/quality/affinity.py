"""Who is good at what: which items lie a worker better than their accuracy says.

What an answer is more or less right than expected is explained by the product of a vector of its
worker with the item's features, projected to a few dimensions: the leading principal components.
Vectors are normal about zero and found by one Newton step of a logistic regression from there,
which under strong shrinkage is as good as all (a probabilistic matrix factorisation with one side
known: R. Salakhutdinov, A. Mnih, NIPS 20, 2007). How strong it is to be, answers left out decide;
unless one of the strengths on offer foretells these beyond noise, all vectors are zero.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from allocation.quality.votes import Floats, Votes

DIMENSIONS = 8
FOLDS = 5
SPREADS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""The standard deviations of vectors on offer, in log odds a deviation of the item."""

GAIN_MIN = 2.0
"""Vectors must gain this many standard errors on answers left out."""

CHANCE_MIN = 0.01
COMPARED_MAX = 20_000
"""So many items at most, spread evenly, tell the principal components."""

Features = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Affinity:
    """A projection of features, centre (D,) and axes (D, d), and vectors (workers, d)."""

    centre: Floats
    axes: Floats
    vectors: Floats

    @property
    def informed(self) -> bool:
        """Whether items differ for any worker beyond their difficulty."""
        return bool(self.vectors.any())

    def log_odds(self, workers: npt.NDArray[np.integer[Any]], features: Features) -> Floats:
        """Return by how much each worker is likelier right about the item in their row, (n,)."""
        return np.asarray((self._placed(features) * self.vectors[workers]).sum(axis=1))

    def _placed(self, features: Features) -> Floats:
        return np.asarray((features - self.centre) @ self.axes)


def learn(votes: Votes, right: Floats, chance: Floats, features: Features) -> Affinity:
    """Return what items (items, D) lie which worker.

    Of each answer `right` says how probably it is right, `chance` how probably it was to be,
    (answers,) each, by the ability of its worker and the difficulty of its item.
    """
    centre, axes = _components(features)
    places = np.asarray((features - centre) @ axes)[votes.items]
    expected = chance.clip(CHANCE_MIN, 1.0 - CHANCE_MIN)
    spread = _spread(votes, right, expected, places)
    vectors = np.zeros((votes.n_workers, axes.shape[1]))
    if spread > 0.0:
        vectors = _vectors(votes, right, expected, places, spread)
    return Affinity(centre=centre, axes=axes, vectors=vectors)


def _components(features: Features) -> tuple[Floats, Floats]:
    """Return the mean and the leading principal axes, (D,) and (D, d), scaled to deviation 1."""
    some = np.asarray(features[:: max(1, -(-len(features) // COMPARED_MAX))], dtype=np.float64)
    centre = some.mean(axis=0)
    variance, axes = np.linalg.eigh(np.cov(some - centre, rowvar=False, bias=True))
    kept = np.flatnonzero(variance > 1e-9 * variance.max(initial=0.0))[-DIMENSIONS:]
    return centre, axes[:, kept] / np.sqrt(variance[kept])


def _spread(votes: Votes, right: Floats, chance: Floats, places: Floats) -> float:
    """Return the spread of vectors that foretells answers left out best; 0 where none does."""
    folds = np.arange(len(votes)) % FOLDS
    gains = np.zeros((len(SPREADS), len(votes)))
    even = _log_likelihood(right, logit(chance))
    for fold in range(FOLDS):
        out = folds == fold
        kept = np.where(out, 0.0, 1.0)
        for row, spread in enumerate(SPREADS):
            vectors = _vectors(votes, right, chance, places, spread, kept)
            lean = logit(chance[out]) + (places[out] * vectors[votes.workers[out]]).sum(axis=1)
            gains[row, out] = _log_likelihood(right[out], lean) - even[out]
    total = gains.sum(axis=1)
    best = int(total.argmax())
    noise = float(np.sqrt((gains[best] ** 2).sum()))
    return SPREADS[best] if total[best] > GAIN_MIN * noise else 0.0


def _vectors(
    votes: Votes,
    right: Floats,
    chance: Floats,
    places: Floats,
    spread: float,
    kept: Floats | None = None,
) -> Floats:
    """Return the vectors (workers, d) of a Newton step from zero, answers weighed by `kept`."""
    weight = np.ones(len(votes)) if kept is None else kept
    curve = weight * chance * (1.0 - chance)
    size, d = votes.n_workers, places.shape[1]
    slopes, curves = np.empty((size, d)), np.empty((size, d, d))
    for one in range(d):
        slopes[:, one] = np.bincount(
            votes.workers, weight * (right - chance) * places[:, one], size
        )
        for other in range(one + 1):
            both = np.bincount(votes.workers, curve * places[:, one] * places[:, other], size)
            curves[:, one, other] = curves[:, other, one] = both
    curves += np.eye(d) / spread**2
    return np.asarray(np.linalg.solve(curves, slopes[:, :, None])[:, :, 0])


def _log_likelihood(right: Floats, lean: Floats) -> Floats:
    return np.asarray(-right * np.logaddexp(0.0, -lean) - (1.0 - right) * np.logaddexp(0.0, lean))
