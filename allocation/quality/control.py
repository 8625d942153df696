"""What is believed of the labels steadies the audit of some of them.

A label's believed probability of being right is known for every item, audited or not. An audited
score less its label's belief, plus the mean belief of all, has the mean of the score and, where
beliefs come true, less variance: A. N. Angelopoulos et al.: Prediction-powered inference, Science
382, 2023; the slope, as in their PPI++, says how far beliefs are trusted. Here it is found from the
draws before, so that any beliefs, however wrong, leave the mean of every score what it was.

Items may be drawn with unequal probabilities: what a draw adds to the beliefs is divided by the
probability it had, as in S. Shekhar et al.: Risk-limiting financial audits via weighted sampling
without replacement, UAI 2023.
"""

from dataclasses import dataclass

import numpy as np

from allocation.quality.bound import Draws
from allocation.quality.drawing import Drawing, Odds
from allocation.quality.votes import Floats

SLOPE_DEVIATION = 0.3
"""How far the slope is taken to lie from 1, before any score: the deviation of a normal prior."""

VARIANCE_MIN = 0.02
"""No score is taken to vary less than this, as beliefs may be far too sure."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Scores:
    """Scores of audited items in audit order, (n,) each.

    `floor` is the lowest score there could have been and `variance` what auditing alone adds;
    both depend on who was asked and on nothing that was said.
    """

    values: Floats
    floor: Floats
    variance: Floats


def controlled(
    scores: Scores, drawing: Drawing, believed: Floats, *, planned: int, exact: bool
) -> Draws:
    """Return the scores with their labels' beliefs as control variate, as draws for a bound.

    `believed` (items,) are the beliefs in the labels of all items that were drawn from; audit
    answers may not have told item from item in them. Where `exact`, scores are the truth itself,
    and what is left to draw is known; else the mean is that of the score of all items.
    """
    odds = drawing.odds(exact=exact)
    mean = float(believed.mean()) if len(believed) else 0.0
    beliefs, counts = believed - mean, odds.factor[np.arange(len(drawing.rows)), drawing.drawn]
    variance = _variance(scores, drawing, odds, believed)
    said, here = counts * (scores.values - mean), counts * beliefs[drawing.rows]
    slope = _slope(said, here, variance)
    known = _expected(odds, drawing, beliefs, slope, mean)
    if exact:
        known += (np.cumsum(scores.values) - scores.values) / max(len(believed), 1)
    return Draws(
        scores=said - slope * here + known,
        floor=_lowest(scores, drawing, odds, beliefs, slope, mean) + known,
        variance=variance,
        outcomes=scores.values,
        population=len(believed) if exact else None,
        planned=planned,
    )


def estimated(scores: Scores, drawing: Drawing, believed: Floats) -> float:
    """Return the mean score of all labels, as far as the arguments of `controlled` tell; or 0.

    Each class of `drawing` by its mean score, or by beliefs where nothing of it was drawn.
    """
    if len(drawing.rows) == 0:
        return 0.0
    mean, variance = float(believed.mean()), scores.variance.mean() + _doubt(believed).mean()
    seen = np.bincount(drawing.drawn, minlength=len(drawing.weights))
    counts = (drawing.sizes / np.maximum(seen, 1))[drawing.drawn] / len(believed)
    said, beliefs = counts * (scores.values - mean), counts * (believed[drawing.rows] - mean)
    prior = variance * (counts @ counts) / (len(counts) * SLOPE_DEVIATION**2)
    slope = (prior + said @ beliefs) / (prior + beliefs @ beliefs)
    return float(mean + said.sum() - min(max(slope, 0.0), 1.0) * beliefs.sum())


def _doubt(believed: Floats) -> Floats:
    return believed * (1.0 - believed)


def _variance(scores: Scores, drawing: Drawing, odds: Odds, believed: Floats) -> Floats:
    """Return the variances of the draws, (n,), if all beliefs come true."""
    doubt = drawing.sums(_doubt(believed)) / np.maximum(drawing.sizes, 1.0)
    due = (odds.spread * (doubt + scores.variance[:, None])).sum(axis=1)
    share = (odds.left * odds.speaks_for).sum(axis=1) / max(len(believed), 1)
    variance: Floats = np.maximum(due, VARIANCE_MIN * share**2)
    return variance


def _slope(scores: Floats, beliefs: Floats, variance: Floats) -> Floats:
    """Return the regression of scores on beliefs by the draws before each one, within [0, 1]."""
    prior = variance / SLOPE_DEVIATION**2
    along, across = scores * beliefs, beliefs**2
    before, spread = np.cumsum(along) - along, np.cumsum(across) - across
    return np.clip((prior + before) / (prior + spread), 0.0, 1.0)


def _expected(odds: Odds, drawing: Drawing, beliefs: Floats, slope: Floats, mean: float) -> Floats:
    """Return what beliefs say of the mean of the items that each draw tells of, (n,)."""
    sums = odds.left * mean + slope[:, None] * drawing.sums_left(beliefs)
    found: Floats = (odds.speaks_for * sums).sum(axis=1) / max(len(beliefs), 1)
    return found


def _lowest(
    scores: Scores, drawing: Drawing, odds: Odds, beliefs: Floats, slope: Floats, mean: float
) -> Floats:
    """Return the lowest that each draw could have been, (n,), whichever item it had been of."""
    surest = np.full(len(drawing.weights), -1.0)
    np.maximum.at(surest, drawing.classes, beliefs)
    lowest = odds.factor * (scores.floor[:, None] - mean - slope[:, None] * surest)
    found: Floats = np.where(odds.left > 0.0, lowest, np.inf).min(axis=1, initial=np.inf)
    return found
