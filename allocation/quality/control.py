"""What is believed of the labels steadies the audit of some of them.

A label's believed probability of being right is known for every item, audited or not. An audited
score less its label's belief, plus the mean belief of all, has the mean of the score and, where
beliefs come true, less variance: A. N. Angelopoulos et al.: Prediction-powered inference, Science
382, 2023; the slope, as in their PPI++, says how far beliefs are trusted. Here it is found from the
draws before, so that any beliefs, however wrong, leave the mean of every score what it was.
"""

from dataclasses import dataclass

import numpy as np

from allocation.quality.bound import Draws
from allocation.quality.votes import Floats

SLOPE_DEVIATION = 0.3
"""How far the slope is taken to lie from 1, before any score: the deviation of a normal prior."""


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
    scores: Scores, believed: Floats, everyone: Floats, *, planned: int, exact: bool
) -> Draws:
    """Return the scores with their labels' beliefs as control variate, as draws for a bound.

    `believed` (n,) are the beliefs in the audited labels and `everyone` (items,) those in all
    labels they are a uniform sample of; audit answers may not have told item from item in them.
    Where `exact`, scores are the truth itself, and drawing without replacement is made use of.
    """
    mean, variance = _expected(scores, everyone)
    centre = _left(believed, everyone) if exact else np.full(len(believed), mean)
    slope = _slope(scores.values - mean, believed - mean, variance)
    return Draws(
        scores=scores.values - slope * (believed - centre),
        floor=scores.floor - slope * (everyone.max(initial=0.0) - centre),
        variance=variance,
        outcomes=scores.values,
        population=len(everyone) if exact else None,
        planned=planned,
    )


def estimated(scores: Scores, believed: Floats, everyone: Floats) -> float:
    """Return the mean score of all labels, as far as the arguments of `controlled` tell; or 0."""
    if len(believed) == 0:
        return 0.0
    mean, variance = _expected(scores, everyone)
    beliefs, prior = believed - mean, variance.mean() / SLOPE_DEVIATION**2
    slope = (prior + (scores.values - mean) @ beliefs) / (prior + beliefs @ beliefs)
    return float(scores.values.mean() - min(max(slope, 0.0), 1.0) * beliefs.mean())


def _expected(scores: Scores, everyone: Floats) -> tuple[float, Floats]:
    """Return the mean and the variances of scores, (n,), if all beliefs come true."""
    if len(everyone) == 0:
        return 0.0, scores.variance
    return float(everyone.mean()), scores.variance + float((everyone * (1.0 - everyone)).mean())


def _left(believed: Floats, everyone: Floats) -> Floats:
    """Return the mean belief of the items not yet drawn, before each draw, (n,)."""
    before = np.cumsum(believed) - believed
    left: Floats = (everyone.sum() - before) / (len(everyone) - np.arange(len(believed)))
    return left


def _slope(scores: Floats, beliefs: Floats, variance: Floats) -> Floats:
    """Return the regression of scores on beliefs by the draws before each one, within [0, 1]."""
    prior = variance / SLOPE_DEVIATION**2
    along, across = scores * beliefs, beliefs**2
    before, spread = np.cumsum(along) - along, np.cumsum(across) - across
    return np.clip((prior + before) / (prior + spread), 0.0, 1.0)
