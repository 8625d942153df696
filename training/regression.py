"""Whether a version has turned out worse than the one it replaced, judged as answers come in.

The audit gate looks once. Behind it a version is looked at again and again, each time audit answers
have come, and a test at a fixed level would reject anything in the end. So the evidence is a bet
(Waudby-Smith & Ramdas 2024): for each item i audited since, with posterior a_i,

    d_i = c_i (a_i[argmax p] - a_i[argmax q]),   p the version before, q the one judged,

lies in [-1, 1], and the wealth W = mean over stakes s of prod_i (1 + s d_i) grows only where the
version before is more often right. If it is not, W exceeds 1 / alpha ever, at any look, with a
chance of at most alpha (Ville 1939); 1 / W serves as the p-value. c_i takes out that items the
model doubted were likelier to be audited (Horvitz & Thompson 1952), scaled to at most 1.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]

STAKES = np.array([1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4])


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """How a version does beside the one before it; scores are expected correctness on `n` items."""

    is_worse: bool
    p_value: float
    score: float
    before_score: float
    n: int


def judge(
    before: Probabilities,
    after: Probabilities,
    audit_posterior: Probabilities,
    confidence: float,
    *,
    weights: Floats,
) -> Regression:
    """Compare probabilities (n, K) of two versions on audited items.

    `weights` (n,), in (0, 1], are the c_i above.
    """
    rows, truth = np.arange(len(audit_posterior)), audit_posterior.astype(np.float64)
    right_before = truth[rows, before.argmax(axis=1)]
    right_after = truth[rows, after.argmax(axis=1)]
    bets = weights * (right_before - right_after)
    wealth = np.exp(np.log1p(STAKES[:, None] * bets).sum(axis=1)).mean()
    p_value = float(min(1.0, 1.0 / wealth))
    return Regression(
        is_worse=p_value <= 1.0 - confidence,
        p_value=p_value,
        score=_average(right_after, weights),
        before_score=_average(right_before, weights),
        n=len(rows),
    )


def _average(values: Floats, weights: Floats) -> float:
    return float(np.average(values, weights=weights)) if len(values) else 0.0
