"""Whose answers tell nothing about the label."""

import numpy as np
import numpy.typing as npt
from scipy.special import expit, gammaln

from allocation.quality.dawid_skene import POOLED_STRENGTH, pooled_confusion
from allocation.quality.votes import Floats

SPAM_ANSWERS_MIN = 15
SPAM_INFORMATION_RATIO = 0.05
"""A worker known by 15 answers who tells less than a twentieth of the average one is a spammer."""

SPAM_SHARE = 0.05
"""How many workers are taken for spammers before they answer."""


def spam_probability(counts: Floats) -> Floats:
    """Return how probable it is that answers have nothing to do with the label, (workers,).

    `counts` are `dawid_skene.expected_counts`, (workers, K, K). Compared are the marginal
    likelihoods of two Dirichlet-multinomial models: rows of a confusion about those of the crowd,
    and one row, whatever it be, for all labels (a Bayes factor, R. E. Kass, A. E. Raftery, J. Am.
    Stat. Assoc. 90(430), 1995). Without answers it is `SPAM_SHARE`.
    """
    crowd = POOLED_STRENGTH * np.exp(pooled_confusion(counts))
    honest = _log_evidence(counts, crowd).sum(axis=1)
    careless = _log_evidence(counts.sum(axis=1), np.ones(counts.shape[-1]))
    log_odds = np.log(SPAM_SHARE / (1.0 - SPAM_SHARE)) + careless - honest
    return np.asarray(expit(log_odds))


def _log_evidence(counts: Floats, prior: Floats) -> Floats:
    """Return the log evidence of answers (..., K) under a Dirichlet prior (..., K)."""
    cells = (gammaln(prior + counts) - gammaln(prior)).sum(axis=-1)
    total = gammaln(prior.sum(axis=-1) + counts.sum(axis=-1)) - gammaln(prior.sum(axis=-1))
    return np.asarray(cells - total)


def spammers(
    log_confusion: Floats, log_pooled: Floats, answers: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Return which workers spam, (workers,).

    `log_confusion` (workers, K, K) and `log_pooled` (K, K) hold log P(answer | truth) as
    [truth, answer]; `answers` (workers,) counts what each has given.
    """
    average = float(information(log_pooled[None])[0])
    told = information(log_confusion)
    return np.asarray((answers >= SPAM_ANSWERS_MIN) & (told < SPAM_INFORMATION_RATIO * average))


def information(log_confusion: Floats) -> Floats:
    """Return what an answer tells about a label drawn evenly, in nats, (workers,)."""
    confusion = np.exp(log_confusion)
    marginal = confusion.mean(axis=1, keepdims=True)
    return np.asarray((confusion * (log_confusion - np.log(marginal))).sum(axis=2).mean(axis=1))
