"""Whether a candidate may replace the live model: a paired test on items it has not seen.

Each judged item i gives two differences, candidate minus incumbent, under the posterior a_i of
its answers: expected correctness, a_i[argmax q] - a_i[argmax p], and log score,
sum_k a_ik (log q_ik - log p_ik). If the two models are equal, each item's pair of differences is
as likely with its signs turned; so the one-sided p-value is the share of random sign flips whose
larger standardised mean reaches the one observed (Westfall & Young 1993: the maximum over both
scores keeps the family-wise error). The rule:

    promote if p <= 1 - confidence, the candidate's expected correctness is not lower, and it gains
    at least 1 point of that or 0.05 nats of log score.

An equal candidate is therefore promoted in at most 1 - confidence of all cases, and with fewer
than six informative items none is. The least gain is there because a promotion makes work. Of 50
heads trained on the same items with other folds, which do differ, though by little, 4 passed on
120 audited items; of 30 that had learnt from three times the items 18, and 20 at a confidence of
0.95. Where some items were likelier to be judged than others, because the incumbent doubted them,
each counts the less for it (Horvitz & Thompson 1952): a candidate that is right where the incumbent
is in doubt, and wrong elsewhere, is no better. Which items are judged, `training.judging` says; and
what audited ones say against a candidate that passes, `training.objection`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.judging import Drawn
from training.objection import Objection, objection
from training.sign_flips import sign_flip_p_value

Probabilities = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]

Reason = (
    Literal[
        "better",
        "not better beyond noise",
        "less often correct",
        "hardly better",
        "nothing to judge by",
    ]
    | Objection
)

CONFIDENCE = 0.975
"""Of equal candidates one in forty is promoted at most; a job has a few, and each makes work."""

CORRECT_GAIN_MIN, LOG_SCORE_GAIN_MIN = 0.01, 0.05
"""A gain below both is not worth what a promotion costs."""

PROBABILITY_MIN = 1e-3
"""Log scores see no probability below this: one confident slip must not outweigh all else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionDecision:
    """The verdict; scores are expected correctness on the `n` informative items."""

    promote: bool
    reason: Reason
    p_value: float
    incumbent_score: float
    candidate_score: float
    n: int


def decide(
    incumbent: Probabilities,
    candidate: Probabilities,
    posterior: Probabilities,
    confidence: float = CONFIDENCE,
    *,
    drawn: Drawn | None = None,
) -> PromotionDecision:
    """Compare two models' probabilities (n, K) on judged items; deterministic.

    Items whose posterior is uniform tell nothing and are left out. `drawn` says how items came to
    be judged; None where all were audited, and each was as likely to be.
    """
    informative = np.ptp(posterior, axis=1) > 1e-6
    drawn = Drawn.alike(len(informative)) if drawn is None else drawn
    counts = drawn.of(informative).stands_for()
    truth = posterior[informative].astype(np.float64)
    before, after = incumbent[informative], candidate[informative]
    n = len(truth)
    if n == 0:
        return _decision("nothing to judge by", 1.0, 0.0, 0.0, n)
    correct_before, correct_after = _correctness(before, truth), _correctness(after, truth)
    log_score = _log_score(after, truth) - _log_score(before, truth)
    differences = np.stack([correct_after - correct_before, log_score], axis=1)
    p_value = sign_flip_p_value(counts[:, None] * differences)
    score_before, score_after = (
        float(np.average(correct, weights=counts)) for correct in (correct_before, correct_after)
    )
    if p_value > 1.0 - confidence:
        return _decision("not better beyond noise", p_value, score_before, score_after, n)
    if score_after < score_before:
        return _decision("less often correct", p_value, score_before, score_after, n)
    log_gain = float(np.average(log_score, weights=counts))
    if score_after - score_before < CORRECT_GAIN_MIN and log_gain < LOG_SCORE_GAIN_MIN:
        return _decision("hardly better", p_value, score_before, score_after, n)
    gains = np.zeros(len(informative))
    gains[informative] = correct_after - correct_before
    objected = objection(gains, drawn)
    if objected is not None:
        return _decision(objected, p_value, score_before, score_after, n)
    return _decision("better", p_value, score_before, score_after, n)


def _decision(
    reason: Reason, p_value: float, incumbent_score: float, candidate_score: float, n: int
) -> PromotionDecision:
    return PromotionDecision(
        promote=reason == "better",
        reason=reason,
        p_value=p_value,
        incumbent_score=incumbent_score,
        candidate_score=candidate_score,
        n=n,
    )


def _correctness(probabilities: Probabilities, truth: Floats) -> Floats:
    """Return the chance (n,) that the most likely label is right."""
    chance: Floats = truth[np.arange(len(truth)), probabilities.argmax(axis=1)]
    return chance


def _log_score(probabilities: Probabilities, truth: Floats) -> Floats:
    """Return the expected log probability (n,) of the truth."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), PROBABILITY_MIN))
    expected: Floats = (truth * logs).sum(axis=1)
    return expected
