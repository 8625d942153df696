"""Anytime-valid lower bound of a mean, by betting.

To test "the mean is at most m" a gambler with wealth 1 bets on each score being above m. Under the
hypothesis the wealth is a nonnegative supermartingale, so by Ville's inequality it ever reaches
1 / alpha with probability at most alpha: every m it reaches it for may be ruled out for good,
whenever and however often one looks. I. Waudby-Smith, A. Ramdas: Estimating means of bounded random
variables by betting, J. R. Stat. Soc. B 86(1), 2024. Here the gambler splits the first wealth
evenly over fixed stakes (a discrete universal portfolio), which needs no tuning and gives the same
wealth in any order of the scores.
"""

import numpy as np

from allocation.quality.votes import Floats

STAKES: Floats = 1.0 / (1.0 + np.exp(-np.linspace(-5.0, 5.0, 21)))
"""The shares of its wealth a gambler puts at risk a score, even in log odds."""

_BISECTIONS = 40


def log_wealth(scores: Floats, mean: float, floor: float = 0.0) -> Floats:
    """Return the gambler's log wealth against "the mean is at most `mean`" after each score, (n,).

    Scores arrive in order and are at least `floor`, which is below `mean`; they have no upper
    limit. Falls as `mean` rises.
    """
    odds = (scores - floor) / (mean - floor) - 1.0
    each = np.cumsum(np.log1p(STAKES[:, None] * odds), axis=1)
    top = each.max(axis=0)
    mixed: Floats = top + np.log(np.exp(each - top).mean(axis=0))
    return mixed


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


def _check(scores: Floats, floor: float) -> None:
    if len(scores) and not scores.min() >= floor:
        raise ValueError(f"a score of {scores.min()} is below the floor of {floor}")
