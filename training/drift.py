"""Whether a job's items are like those that its model line was taught by.

Told with a false-alarm rate that holds whatever the encoder or the model is.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

Floats = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]

FALSE_ALARM = 0.01
"""Of jobs that are like those before, so many are said to be unlike them."""

PERMUTATIONS = 999
SAMPLE_ROWS = 400
"""So many rows of each side are compared: a kernel between all of them takes 5 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far apart two samples are, and how probably alike ones would be at least as far."""

    distance: float
    p_value: float

    @property
    def alarmed(self) -> bool:
        """Whether the samples are taken to differ."""
        return self.p_value <= FALSE_ALARM


def drift(before: Floats, now: Floats, seed: int) -> Drift:
    """Compare the features of two sets of items, (n, D) and (m, D), each sampled at random.

    The distance is the maximum mean discrepancy under a Gaussian kernel of median width; shares of
    permutations that reach it are its p-value, exact where items are exchangeable (A. Gretton et
    al.: A Kernel Two-Sample Test, JMLR 13, 2012). Equal arguments give equal results.
    """
    rng = np.random.default_rng(seed)
    first, second = _sample(before, rng), _sample(now, rng)
    if min(len(first), len(second)) < 2:
        return Drift(distance=0.0, p_value=1.0)
    kernel = _gaussian(np.concatenate([first, second]).astype(np.float64))
    sides = np.where(np.arange(len(kernel)) < len(first), 1.0 / len(first), -1.0 / len(second))
    turned = np.stack([rng.permutation(sides) for _ in range(PERMUTATIONS)])
    found = float(sides @ kernel @ sides)
    others = np.einsum("pi,pi->p", turned @ kernel, turned)
    reached = int((others >= found - 1e-12).sum())
    return Drift(distance=max(found, 0.0) ** 0.5, p_value=(1 + reached) / (1 + PERMUTATIONS))


def _sample(rows: Floats, rng: np.random.Generator) -> Floats:
    return rows[np.sort(rng.permutation(len(rows))[:SAMPLE_ROWS])]


def _gaussian(rows: Doubles) -> Doubles:
    """Return exp(-d^2 / m) of all pairs, m being the median squared distance, (n, n)."""
    squared = cdist(rows, rows, "sqeuclidean")
    apart = squared[np.triu_indices(len(rows), 1)]
    return np.asarray(np.exp(-squared / max(float(np.median(apart)), 1e-12)))
