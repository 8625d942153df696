"""How far a model's probabilities may be believed: a temperature learned from the crowd.

A network's softmax is not a probability of being right (Guo et al. 2017). Here its logarithm is
multiplied by one factor, chosen so that the answers people gave are as likely as possible when
the scaled probabilities are taken as the prior of each item:

    maximise  sum_i log sum_y softmax(t log p_i)_y P(answers to i | y)

The answers are noisy, and need no gold: their own noise is in P(answers | y). The likelihood stays
valid for items chosen because the model was unsure of them, and for those asked until they were
clear, since either choice depends only on what is conditioned on (ignorable selection, Rubin 1976).
So every answered item counts: the audited ones alone, some eighty a job, left the temperature so
uncertain that three jobs of one crowd ended 4 points above their goal and 5 below.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from allocation.quality.votes import Floats

TEMPERATURE_MIN, TEMPERATURE_MAX = 0.02, 3.0
PROBABILITY_FLOOR = 1e-6

SURE_LOSS = 1.353
"""How much less likely, in logarithms, the end of a one-sided 95 % interval is (S. S. Wilks 1938).

It is half the 0.9 quantile of a chi-square with one degree of freedom.
"""


def scaled(probabilities: Floats, temperature: float) -> Floats:
    """Return log softmax(temperature x log probabilities), (items, K)."""
    logits = temperature * np.log(np.maximum(probabilities, PROBABILITY_FLOOR))
    return normalised(logits)


def normalised(log_weights: Floats) -> Floats:
    """Return rows shifted so that their exponentials sum to 1, (items, K)."""
    top = log_weights.max(axis=1, keepdims=True)
    total = np.log(np.exp(log_weights - top).sum(axis=1, keepdims=True))
    return np.asarray(log_weights - top - total)


def tempered(log_confusion: Floats, exponent: float) -> Floats:
    """Return P(answer | truth) to a power, normalised over answers: (..., K, K) logarithms."""
    weights = exponent * log_confusion
    return np.asarray(weights - np.logaddexp.reduce(weights, axis=-1, keepdims=True))


def fit_temperature(probabilities: Floats, log_evidence: Floats) -> float:
    """Return the factor that makes the answers most likely, in [0.02, 3].

    `probabilities` (items, K) are the model's own, `log_evidence` (items, K) is
    log P(answers | label) of the same items. Without items the answer is 1: nothing is known.
    """
    return _likeliest(_loss(probabilities, log_evidence)) if len(probabilities) else 1.0


def fit_sharpness(probabilities: Floats, log_evidence: Floats) -> float:
    """Return `fit_temperature`; where that is above 1, the most that it surely is, or 1.

    To be believed more than they say of themselves probabilities need more than a few lucky items:
    a job stops the first time that enough is believed, which is when the luck is best.
    """
    if not len(probabilities):
        return 1.0
    loss = _loss(probabilities, log_evidence)
    best = float(np.log(_likeliest(loss)))
    limit = loss(best) + SURE_LOSS
    if best <= 0.0 or loss(0.0) <= limit:
        return float(np.exp(min(best, 0.0)))
    return float(np.exp(brentq(lambda at: loss(at) - limit, 0.0, best, xtol=1e-3)))


def _loss(probabilities: Floats, log_evidence: Floats) -> Callable[[float], float]:
    def loss(log_temperature: float) -> float:
        joint = scaled(probabilities, float(np.exp(log_temperature))) + log_evidence
        top = joint.max(axis=1)
        evidence = top + np.log(np.exp(joint - top[:, None]).sum(axis=1))
        return float(-evidence.sum() + 0.5 * log_temperature**2)

    return loss


def _likeliest(loss: Callable[[float], float]) -> float:
    bounds = (float(np.log(TEMPERATURE_MIN)), float(np.log(TEMPERATURE_MAX)))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))
