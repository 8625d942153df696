"""The certificate: what an audit by noisy, independent workers proves about delivered labels.

An audit answer agrees with the delivered label or not. From how a worker answers, two rates follow:
`right`, how often the worker agrees with a right label, and `wrong`, how often with a wrong one.
Then (agreement - wrong) / (right - wrong) is an unbiased score of the label's correctness (backward
correction: Rogan, Gladen 1978; Natarajan et al. 2013), and the mean score is bounded from below at
all times by `allocation.quality.bound`. Over-estimating either rate lowers the mean score, so both
are taken from above throughout. docs/truth-inference.md lists what is assumed.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

from allocation.quality.bound import lower
from allocation.quality.votes import Codes, Floats, Votes
from cluster.domain.jobs import Certificate, Stratum

SHARED_ERRORS = 0.25
"""Share of the delivered errors that auditors make as well, agreeing as with a right label.

0 suits experts; docs/truth-inference.md shows what real crowds need.
"""

POOLED_STRENGTH = 4.0
GAP_MIN = 0.1
"""A worker whose rates lie closer than this tells too little to be heard."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Audit:
    """Audited items in the order of the audit sample, and what independent workers said of them.

    `delivered` (n,) holds the label of each item, `auto` (n,) whether the model alone decided it;
    `votes.items` are rows of these. No worker of `votes` had a say in that item's label.
    """

    delivered: Codes
    auto: npt.NDArray[np.bool_]
    votes: Votes

    def __post_init__(self) -> None:
        if not len(self.delivered) == len(self.auto) == self.votes.n_items:
            raise ValueError("delivered, auto and votes must cover the same items")


@dataclass(frozen=True, slots=True, eq=False)
class AgreementRates:
    """How often each worker agrees with a delivered label of each class, (workers, K) each.

    `right` where that label is right, `wrong` where it is wrong.
    """

    right: Floats
    wrong: Floats


def certify(
    audit: Audit,
    counts: Floats,
    *,
    auto_items: int,
    crowd_items: int,
    confidence: float,
    shared_errors: float = SHARED_ERRORS,
) -> Certificate:
    """Return lower bounds of the accuracy of the labels decided by model, by crowd, and of all.

    `counts` and `shared_errors` are those of `agreement_rates`. Half of the allowed error goes to
    the sampling of items and answers, half to the estimate of the rates; the accuracy estimate uses
    the rates as they are. A stratum without items is left out, except `overall`; one without
    audited items has estimate and bound 0. Each stratum holds at `confidence` by itself, and at
    any time it is read.
    """
    half = (1.0 + confidence) / 2.0
    likely, _ = correctness_scores(audit, agreement_rates(counts, audit, 0.5, shared_errors))
    scores, floor = correctness_scores(audit, agreement_rates(counts, audit, half, shared_errors))

    def stratum(
        name: Literal["auto", "crowd", "overall"], items: int, part: npt.NDArray[np.bool_]
    ) -> Stratum:
        bound = _bounded(scores[part], half, floor)
        estimate = float(likely[part].mean()) if part.any() else 0.0
        return Stratum(
            name=name,
            items=items,
            audited=int(part.sum()),
            accuracy_estimate=min(max(estimate, bound), 1.0),
            accuracy_lower=bound,
        )

    overall = stratum("overall", auto_items + crowd_items, np.ones(len(scores), dtype=bool))
    strata = (
        stratum("auto", auto_items, audit.auto),
        stratum("crowd", crowd_items, ~audit.auto),
    )
    kept = tuple(part for part in strata if part.items)
    return Certificate(confidence=confidence, strata=(*kept, overall))


def agreement_rates(
    counts: Floats, audit: Audit, confidence: float, shared_errors: float = SHARED_ERRORS
) -> AgreementRates:
    """Return rates of agreement, each taken from above.

    `counts` (workers, K, K) is how often each worker gave each answer to each truth, as far as
    known, as [worker, truth, answer]: `dawid_skene.expected_counts` of the label answers. A cell of
    the pooled crowd gets one more answer, which counts against the certificate; a worker is shrunk
    to the pool by 4 answers; the normal upper limit at `confidence` covers the sampling error of
    the auditors' mean rate; the truths behind a wrong label are weighed by how often the crowd
    confuses them with it; and `wrong` moves by `shared_errors` of the way to `right`, which covers
    the errors that auditors and delivered labels have in common.
    """
    total = counts.sum(axis=0)
    seen_total = total.sum(axis=1, keepdims=True)
    pooled = (total + 1.0) / (seen_total + 1.0)
    seen = counts.sum(axis=2, keepdims=True) + POOLED_STRENGTH
    rate = (counts + POOLED_STRENGTH * pooled) / seen
    error = NormalDist().inv_cdf(confidence) * _mean_error(rate, seen, audit.votes)
    rate = np.minimum(rate + error, 1.0)
    right = np.diagonal(rate, axis1=1, axis2=2)
    confused = np.where(np.eye(len(total)), 0.0, total + seen_total / max(total.sum(), 1.0))
    weight = confused.sum(axis=0)
    wrong = np.where(
        weight > 0.0, (confused * rate).sum(axis=1) / np.where(weight > 0.0, weight, 1.0), 1.0
    )
    return AgreementRates(right, wrong + shared_errors * np.maximum(right - wrong, 0.0))


def correctness_scores(audit: Audit, rates: AgreementRates) -> tuple[Floats, float]:
    """Return a score (n,) of each audited item with mean at most P(label right), and their floor.

    The answers of one item are weighed by the precision of their workers, which does not depend on
    the answers. Workers who cannot tell a right label from a wrong one are not heard, and an item
    nobody else answered scores 0, as if wrong. The floor, the lowest score any answers could have
    given, follows from who was asked; there is no ceiling, for a lower bound needs none.
    """
    votes = audit.votes
    delivered = audit.delivered[votes.items]
    right, wrong = rates.right[votes.workers, delivered], rates.wrong[votes.workers, delivered]
    gap = right - wrong
    heard = gap >= GAP_MIN
    gap = np.where(heard, gap, 1.0)
    precision = np.where(heard, gap**2 / (right * (1.0 - right) + 0.05), 0.0)
    total = np.bincount(votes.items, weights=precision, minlength=votes.n_items)
    share = precision / np.where(total > 0.0, total, 1.0)[votes.items]
    agrees = (votes.labels == delivered).astype(np.float64)
    scores = _per_item(votes, share * (agrees - wrong) / gap)
    lowest = _per_item(votes, share * -wrong / gap)
    return scores, float(lowest.min(initial=0.0))


def _bounded(scores: Floats, confidence: float, floor: float) -> float:
    """Return a lower bound of the mean score, within [0, 1].

    A mean above 1 shows that `right` was under-estimated; the scores are scaled down to it.
    """
    if len(scores) == 0:
        return 0.0
    return max(lower(scores / max(float(scores.mean()), 1.0), confidence, floor), 0.0)


def _mean_error(rate: Floats, seen: Floats, votes: Votes) -> Floats:
    """Return the standard error of the auditors' mean rate, (K, K), by their share of answers."""
    share = votes.answers_per_worker() / max(len(votes), 1)
    variance = share[:, None, None] ** 2 * np.maximum(rate * (1.0 - rate), 0.0) / seen
    error: Floats = np.sqrt(variance.sum(axis=0))
    return error


def _per_item(votes: Votes, values: Floats) -> Floats:
    return np.bincount(votes.items, weights=values, minlength=votes.n_items).astype(np.float64)
