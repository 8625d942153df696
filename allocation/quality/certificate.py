"""The certificate: what an audit by noisy, independent workers proves about delivered labels.

An audit answer agrees with the delivered label or not. From how a worker answers, two rates follow:
`right`, how often the worker agrees with a right label, and `wrong`, how often with a wrong one.
They make an unbiased score of the label's correctness out of the answers to an item: for one answer
the backward correction (Rogan, Gladen 1978; Natarajan et al. 2013), for several the unbiased score
of least variance. Its mean is bounded from below at all times by `allocation.quality.bound`.
Over-estimating either rate lowers the mean score, so both are taken from above throughout.
docs/truth-inference.md lists what is assumed.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from allocation.quality.audit import Audit, Graded, certified
from allocation.quality.control import Scores
from allocation.quality.votes import Floats, Votes
from cluster.domain.jobs import Certificate

SHARED_ERRORS = 0.5
"""Share of the delivered errors that auditors make as well, agreeing as with a right label.

0 suits experts; docs/truth-inference.md shows what real crowds need.
"""

POOLED_STRENGTH = 4.0
GAP_MIN = 0.1
"""A worker whose rates lie closer than this tells too little to be heard."""

RATES_SHARE = 0.2
"""The share of the allowed error that pays for estimating the rates; the rest is for sampling."""

UNHEARD_VARIANCE = 1e6

RIGHT_MAX, WRONG_MIN = 0.9999, 1e-6
"""No worker is taken for surer than this, which moves no score by more than a thousandth."""

POWER_MAX = 600.0
"""log(1 + chi2) beyond which auditing adds no noise that a double can hold."""


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

    `counts` are those of `agreement_rates`, `shared_errors` that of `correctness_scores`. A fifth
    of the allowed error goes to the estimate of the rates, the rest to the sampling of items and
    answers; the accuracy estimate uses the rates as they are. A stratum without items is left out,
    except `overall`; one without audited items has estimate and bound 0. Each stratum holds at
    `confidence` by itself, and at any time it is read.
    """
    graded = graded_by_crowd(audit, counts, confidence=confidence, shared_errors=shared_errors)
    return certified(audit, graded, confidence=confidence)


def graded_by_crowd(
    audit: Audit, counts: Floats, *, confidence: float, shared_errors: float = SHARED_ERRORS
) -> Graded:
    """Return the scores of the audited items; the arguments are those of `certify`."""
    error = 1.0 - confidence
    likely, cautious = (
        correctness_scores(audit, agreement_rates(counts, audit, sure), shared_errors)
        for sure in (0.5, 1.0 - RATES_SHARE * error)
    )
    return Graded(
        cautious=_within_one(cautious),
        likely=likely,
        confidence=1.0 - (1.0 - RATES_SHARE) * error,
        exact=False,
    )


def agreement_rates(counts: Floats, audit: Audit, confidence: float) -> AgreementRates:
    """Return rates of agreement, each taken from above.

    `counts` (workers, K, K) is how often each worker gave each answer to each truth, as far as
    known, as [worker, truth, answer]: `dawid_skene.expected_counts` of the label answers. A cell of
    the pooled crowd gets one more answer, which counts against the certificate; a worker is shrunk
    to the pool by 4 answers; the normal upper limit at `confidence` covers the sampling error of
    the auditors' mean rate; the truths behind a wrong label are weighed by how often the crowd
    confuses them with it.
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
    return AgreementRates(right, wrong)


def correctness_scores(
    audit: Audit, rates: AgreementRates, shared_errors: float = SHARED_ERRORS
) -> Scores:
    """Return a score of each audited item with mean at most P(label right).

    With L the likelihood of an item's answers where its label is wrong by that where it is right,
    the score is 1 - (L - 1) / chi2, where chi2 is the variance of L at a right label: of all scores
    with mean 1 for right labels and 0 for wrong ones it varies least on right ones, which is what
    most labels are. `shared_errors`, in [0, 1), is the share of wrong labels that all auditors may
    take for right. Workers who cannot tell a right label from a wrong one are not heard, and an
    item nobody else answered scores 0, as if wrong.
    """
    votes, delivered = audit.votes, audit.delivered[audit.votes.items]
    odds, power = _evidence(rates)
    agrees = (votes.labels == delivered).astype(np.int64)
    said = _per_item(votes, odds[votes.workers, delivered, agrees])
    known = _per_item(votes, power[votes.workers, delivered])
    floor, variance = _known_beforehand(votes, odds[:, :, 0], power, shared_errors)
    return Scores(values=_score(said, known, shared_errors), floor=floor, variance=variance)


def _evidence(rates: AgreementRates) -> tuple[Floats, Floats]:
    """Return log L of each worker's [disagreement, agreement], (workers, K, 2), and log(1 + chi2).

    Both add up over the independent answers to an item, and are 0 for a worker who is not heard.
    """
    heard = rates.right - rates.wrong >= GAP_MIN
    right, wrong = np.minimum(rates.right, RIGHT_MAX), np.clip(rates.wrong, WRONG_MIN, 1.0)
    right, wrong = np.where(heard, right, 0.5), np.where(heard, wrong, 0.5)
    against, towards = (1.0 - wrong) / (1.0 - right), wrong / right
    power = np.log(wrong * towards + (1.0 - wrong) * against)
    return np.log(np.stack([against, towards], axis=2)), power


def _score(odds: Floats, power: Floats, shared_errors: float) -> Floats:
    """Return the scores of items by their log L and log(1 + chi2), 0 where nobody was heard."""
    heard = power > 0.0
    power = np.where(heard, power, 1.0)
    wrongness = (np.exp(odds - power) - np.exp(-power)) / -np.expm1(-power)
    return np.where(heard, 1.0 - wrongness / (1.0 - shared_errors), 0.0)


def _known_beforehand(
    votes: Votes, against: Floats, power: Floats, shared_errors: float
) -> tuple[Floats, Floats]:
    """Return the floor and the noise of each item's score, (items,), by who was asked.

    Neither may depend on the label that was asked about: stakes that do would favour some items.
    """
    worst = _per_item_and_class(votes, against[votes.workers])
    known = _per_item_and_class(votes, power[votes.workers])
    floor = np.minimum(_score(worst, known, shared_errors).min(axis=1), 0.0)
    heard = known > 0.0
    noise = 1.0 / np.expm1(np.where(heard, np.minimum(known, POWER_MAX), 1.0))
    variance = np.where(heard, noise / (1.0 - shared_errors) ** 2, UNHEARD_VARIANCE).mean(axis=1)
    return floor, variance


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


def _per_item_and_class(votes: Votes, values: Floats) -> Floats:
    """Return the sums of values (answers, K) over each item's answers, (items, K)."""
    k = values.shape[1]
    cells = (votes.items[:, None] * k + np.arange(k)).ravel()
    total = np.bincount(cells, weights=values.ravel(), minlength=votes.n_items * k)
    return total.reshape(votes.n_items, k).astype(np.float64)


def _per_item(votes: Votes, values: Floats) -> Floats:
    return np.bincount(votes.items, weights=values, minlength=votes.n_items).astype(np.float64)
