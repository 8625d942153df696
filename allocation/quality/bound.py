"""Anytime-valid lower bound of a mean, by betting.

To test "the mean is at most m" a gambler with wealth 1 bets on each score being above m. Under the
hypothesis the wealth is a nonnegative supermartingale, so by Ville's inequality it ever reaches
1 / alpha with probability at most alpha: every m it reaches it for may be ruled out for good,
whenever and however often one looks. I. Waudby-Smith, A. Ramdas: Estimating means of bounded random
variables by betting, J. R. Stat. Soc. B 86(1), 2024. Here the gambler splits the first wealth
evenly over fixed stakes (a discrete universal portfolio), which needs no tuning and gives the same
wealth in any order of the scores.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from allocation.quality.votes import Floats

STAKES: Floats = 1.0 / (1.0 + np.exp(-np.linspace(-5.0, 5.0, 21)))
"""The shares of its wealth a gambler puts at risk a score, even in log odds."""

_BISECTIONS = 40
_GRID = 1_000


def log_wealth(scores: Floats, mean: float, floor: float = 0.0) -> Floats:
    """Return the gambler's log wealth against "the mean is at most `mean`" after each score, (n,).

    Scores arrive in order and are at least `floor`, which is below `mean`; they have no upper
    limit. Falls as `mean` rises.
    """
    odds = (scores - floor) / (mean - floor) - 1.0
    return _mixed(np.cumsum(np.log1p(STAKES[:, None] * odds), axis=1))


def lower(scores: Floats, confidence: float, floor: float = 0.0) -> float:
    """Return a lower bound of the mean that holds at every length of `scores` at once.

    Scores arrive in order, lie at or above `floor` and have one conditional mean given the past;
    that mean is known to be at most 1. With probability `confidence` or more no bound returned for
    any beginning of the sequence exceeds it. Never falls as scores are added; `floor` for none.
    Raises ValueError for a score below `floor`.
    """
    _check(scores, floor)
    if len(scores) == 0:
        return floor
    ruin = -np.log1p(-confidence)
    if log_wealth(scores, 1.0, floor).max() >= ruin:
        return 1.0
    low, high = floor, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if log_wealth(scores, middle, floor).max() >= ruin:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True, slots=True, eq=False)
class RunningBound:
    """`lower` in streaming form: the wealth against a grid of means, a thousandth of 1 apart.

    `log_wealth` is (stakes, means), `peak` (means,) the highest log wealth so far.
    """

    floor: float
    means: Floats
    log_wealth: Floats
    peak: Floats

    @classmethod
    def start(cls, floor: float = 0.0) -> Self:
        """Return the state before any score."""
        means = floor + (1.0 - floor) * np.arange(1, _GRID + 1) / _GRID
        return cls(floor, means, np.zeros((len(STAKES), _GRID)), np.zeros(_GRID))

    def after(self, scores: Floats) -> Self:
        """Return the state once more scores have come, in their order."""
        _check(scores, self.floor)
        wealth, peak = self.log_wealth, self.peak
        for score in scores:
            odds = (score - self.floor) / (self.means - self.floor) - 1.0
            wealth = wealth + np.log1p(STAKES[:, None] * odds)
            peak = np.maximum(peak, _mixed(wealth))
        return type(self)(self.floor, self.means, wealth, peak)

    def lower(self, confidence: float) -> float:
        """Return the bound, rounded down to the grid."""
        ruled_out = np.flatnonzero(self.peak >= -np.log1p(-confidence))
        return float(self.means[ruled_out[-1]]) if len(ruled_out) else self.floor


def _mixed(log_wealth: Floats) -> Floats:
    """Return the log of the mean wealth over the stakes, the first axis."""
    top = log_wealth.max(axis=0)
    mixed: Floats = top + np.log(np.exp(log_wealth - top).mean(axis=0))
    return mixed


def _check(scores: Floats, floor: float) -> None:
    if len(scores) and not scores.min() >= floor:
        raise ValueError(f"a score of {scores.min()} is below the floor of {floor}")
