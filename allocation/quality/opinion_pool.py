"""Several views of one crowd, pooled: where one of them collapses the others hold.

A weighted vote knows nothing of who mixes up what, but nothing misleads it either. Dawid-Skene
knows, and is too sure where items differ in difficulty or answers are few. Their weighted geometric
mean, a logarithmic opinion pool (C. Genest, J. V. Zidek: Combining probability distributions,
Statistical Science 1(1), 1986), follows whoever is surer, and nobody beyond 999 to 1.
"""

from functools import reduce

import numpy as np

from allocation.quality import dawid_skene, majority
from allocation.quality.votes import Fit, Floats, Votes

DOUBT_MIN = 1e-3
"""No member rules a label out further than this."""


def fit(votes: Votes) -> Fit:
    """Fit a weighted vote and Dawid-Skene under both its priors, and pool them half and half.

    Confusions are those that the pooled labels give the workers; there is no likelihood.
    """
    diagonal = dawid_skene.fit(votes, prior="diagonal")
    pooled = dawid_skene.fit(votes, prior="pooled")
    opinions = (
        (0.5, weighted_vote(votes).posterior),
        (0.25, diagonal.posterior),
        (0.25, pooled.posterior),
    )
    log_opinion = reduce(np.add, [weight * _log(opinion) for weight, opinion in opinions])
    posterior = np.exp(log_opinion - log_opinion.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    return Fit(
        posterior=posterior,
        log_confusion=dawid_skene.m_step(
            dawid_skene.expected_counts(votes, posterior), prior="pooled"
        ),
        class_prior=pooled.class_prior,
        iterations=diagonal.iterations + pooled.iterations,
        log_likelihood=(),
    )


def weighted_vote(votes: Votes) -> Fit:
    """Return vote shares in which a worker counts as often as they agree with the majority.

    crowd-kit calls it Wawa, after Appen's worker agreement with aggregate.
    """
    plain = majority.fit(votes).labels()
    agreed = np.bincount(
        votes.workers, weights=plain[votes.items] == votes.labels, minlength=votes.n_workers
    )
    return majority.fit(votes, agreed / np.maximum(votes.answers_per_worker(), 1))


def _log(opinion: Floats) -> Floats:
    log_opinion: Floats = np.log(np.maximum(opinion, DOUBT_MIN))
    return log_opinion
