"""The certificate: what an audit by noisy, independent workers proves about delivered labels.

An audit answer agrees with the delivered label or not. From how a worker answers, two rates follow:
`right`, how often the worker agrees with a right label, and `wrong`, how often with a wrong one.
Then (agreement - wrong) / (right - wrong) is an unbiased score of the label's correctness (backward
correction: Rogan, Gladen 1978; Natarajan et al. 2013), and the mean score is bounded from below at
all times by `allocation.quality.bound`. Over-estimating either rate lowers the mean score, so both
are taken from above throughout. docs/truth-inference.md lists what is assumed.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from allocation.quality.audit import Audit, Graded, certified
from allocation.quality.control import Scores
from allocation.quality.votes import Floats, Votes
from cluster.domain.jobs import Certificate

SHARED_ERRORS = 0.25
"""Share of the delivered errors that auditors make as well, agreeing as with a right label.

0 suits experts; docs/truth-inference.md shows what real crowds need.
"""

POOLED_STRENGTH = 4.0
GAP_MIN = 0.1
"""A worker whose rates lie closer than this tells too little to be heard."""

RATES_SHARE = 0.2
"""The share of the allowed error that pays for estimating the rates; the rest is for sampling."""

UNHEARD_VARIANCE = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class AgreementRates:
    """How often each worker agrees with a delivered label of each class, (workers, K) each.

    `right` where that label is right, `wrong` where it is wrong.
    """

    right: Floats
    wrong: Floats


def certify(
    audit: Audit, counts: Floats, *, confidence: float, shared_errors: float = SHARED_ERRORS
) -> Certificate:
    """Return lower bounds of the accuracy of the labels decided by model, by crowd, and of all.

    `counts` and `shared_errors` are those of `agreement_rates`. A fifth of the allowed error goes
    to the estimate of the rates, the rest to the sampling of items and answers; the accuracy
    estimate uses the rates as they are. A stratum without items is left out, except `overall`; one
    without audited items has estimate and bound 0. Each stratum holds at `confidence` by itself,
    and at any time it is read.
    """
    error = 1.0 - confidence
    likely, cautious = (
        correctness_scores(audit, agreement_rates(counts, audit, sure, shared_errors))
        for sure in (0.5, 1.0 - RATES_SHARE * error)
    )
    return certified(
        audit,
        Graded(cautious=_within_one(cautious), likely=likely),
        confidence=confidence,
        sampling_confidence=1.0 - (1.0 - RATES_SHARE) * error,
        exact=False,
    )


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


def correctness_scores(audit: Audit, rates: AgreementRates) -> Scores:
    """Return a score of each audited item with mean at most P(label right).

    The answers of one item are weighed by the precision of their workers, which does not depend on
    the answers. Workers who cannot tell a right label from a wrong one are not heard, and an item
    nobody else answered scores 0, as if wrong. There is no ceiling, for a lower bound needs none.
    """
    votes, delivered = audit.votes, audit.delivered[audit.votes.items]
    right, wrong = rates.right[votes.workers, delivered], rates.wrong[votes.workers, delivered]
    gap, precision = _heard(right, wrong)
    total = np.bincount(votes.items, weights=precision, minlength=votes.n_items)
    share = precision / np.where(total > 0.0, total, 1.0)[votes.items]
    agrees = (votes.labels == delivered).astype(np.float64)
    floor, variance = _known_beforehand(votes, rates)
    return Scores(
        values=_per_item(votes, share * (agrees - wrong) / gap), floor=floor, variance=variance
    )


def _known_beforehand(votes: Votes, rates: AgreementRates) -> tuple[Floats, Floats]:
    """Return the floor and the noise of each item's score, (items,), by who was asked.

    Neither may depend on the label that was asked about: stakes that do would favour some items.
    """
    gap, precision = _heard(rates.right, rates.wrong)
    lowest = np.where(precision > 0.0, -rates.wrong / gap, 0.0).min(axis=1)
    floor = np.zeros(votes.n_items)
    np.minimum.at(floor, votes.items, lowest[votes.workers])
    heard = _per_item(votes, precision.mean(axis=1)[votes.workers])
    variance = np.where(heard > 0.0, 1.0 / np.where(heard > 0.0, heard, 1.0), UNHEARD_VARIANCE)
    return floor, variance


def _heard(right: Floats, wrong: Floats) -> tuple[Floats, Floats]:
    """Return the gap between rates, 1 where it is too small to be heard, and the precision."""
    gap = right - wrong
    heard = gap >= GAP_MIN
    gap = np.where(heard, gap, 1.0)
    return gap, np.where(heard, gap**2 / (right * (1.0 - right) + 0.05), 0.0)


def _within_one(scores: Scores) -> Scores:
    """Return scores whose mean is at most 1: a greater one shows `right` was under-estimated."""
    scale = 1.0 / max(float(scores.values.mean()), 1.0) if len(scores.values) else 1.0
    return replace(scores, values=scores.values * scale)


def _mean_error(rate: Floats, seen: Floats, votes: Votes) -> Floats:
    """Return the standard error of the auditors' mean rate, (K, K), by their share of answers."""
    share = votes.answers_per_worker() / max(len(votes), 1)
    variance = share[:, None, None] ** 2 * np.maximum(rate * (1.0 - rate), 0.0) / seen
    error: Floats = np.sqrt(variance.sum(axis=0))
    return error


def _per_item(votes: Votes, values: Floats) -> Floats:
    return np.bincount(votes.items, weights=values, minlength=votes.n_items).astype(np.float64)
