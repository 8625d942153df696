"""Several views of one crowd, pooled: where one of them collapses the others hold.

A weighted vote knows nothing of who mixes up what, but nothing misleads it either. Dawid-Skene
knows, and is too sure where items differ in difficulty or answers are few. Their weighted geometric
mean, a logarithmic opinion pool (C. Genest, J. V. Zidek: Combining probability distributions,
Statistical Science 1(1), 1986), finds as many labels as the best of them and is less too sure:
docs/truth-inference.md has the tables the weights were chosen on, and how far it is off.
"""

from dataclasses import dataclass

import numpy as np

from allocation.quality import dawid_skene, majority
from allocation.quality.votes import Fit, Floats, Votes

VOTE_WEIGHT, DIAGONAL_WEIGHT, POOLED_WEIGHT = 0.6, 0.1, 0.3

DOUBT_MIN = 1e-3
"""No member rules a label out further than this."""

AGREEMENT_STRENGTH = 4.0
"""Answers of average agreement that every worker is taken to have given before."""

ANSWER_WORTH = 0.6
"""What one more answer adds to a pooled belief, as a share of its own log odds."""

LEARNED_BASE_RATES_MIN = 4.0
"""Answers for each entry of the workers' confusions from which on base rates are learned."""

ITERATIONS_MAX = 50


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Opinions:
    """What is known of workers; K labels.

    `vote_weight` (workers,) is how often each one's vote counts, `log_diagonal` and `log_pooled`
    (workers, K, K) are log P(answer | truth) under the two priors of `dawid_skene`, and
    `class_prior` (K,) the base rates.
    """

    vote_weight: Floats
    log_diagonal: Floats
    log_pooled: Floats
    class_prior: Floats
    iterations: int


def fit(votes: Votes) -> Fit:
    """Fit a weighted vote and Dawid-Skene under both its priors, and pool them.

    Confusions are those that the pooled labels give the workers; there is no likelihood.
    """
    opinions = learn(votes)
    posterior = np.exp(believe(votes, opinions))
    return Fit(
        posterior=posterior,
        log_confusion=dawid_skene.m_step(
            dawid_skene.expected_counts(votes, posterior), prior="pooled"
        ),
        class_prior=opinions.class_prior,
        iterations=opinions.iterations,
        log_likelihood=(),
    )


def learn(votes: Votes, log_item_prior: Floats | None = None) -> Opinions:
    """Return what votes, and perhaps one more witness of each item, tell of the workers.

    `log_item_prior` (items, K) is that witness's log probability of each label, base rates
    included. Without it base rates are learned where answers are many; where they are few, learned
    ones drift, and the mean shares of votes are better.
    """
    voted = majority.fit(votes)
    entries = votes.n_workers * votes.n_labels**2
    learned = log_item_prior is None and len(votes) >= LEARNED_BASE_RATES_MIN * entries
    fixed = voted.class_prior if log_item_prior is None else _uniform(votes.n_labels)
    diagonal, pooled = (
        dawid_skene.fit(
            votes,
            prior=prior,
            log_item_prior=log_item_prior,
            class_prior=None if learned else fixed,
            iterations_max=ITERATIONS_MAX,
        )
        for prior in ("diagonal", "pooled")
    )
    return Opinions(
        vote_weight=_agreement(votes, log_item_prior),
        log_diagonal=diagonal.log_confusion,
        log_pooled=pooled.log_confusion,
        class_prior=pooled.class_prior if learned else voted.class_prior,
        iterations=diagonal.iterations + pooled.iterations,
    )


def believe(votes: Votes, opinions: Opinions, log_prior: Floats | None = None) -> Floats:
    """Return the log probability of each item's labels given its votes, (items, K).

    `log_prior` (items or 1, K) is what is believed of the items before, by default the base rates.
    It counts as one vote beside those of the workers.
    """
    if log_prior is None:
        log_prior = np.log(np.maximum(opinions.class_prior, DOUBT_MIN))[None]
    prior = np.exp(log_prior - np.logaddexp.reduce(log_prior, axis=1, keepdims=True))
    shares = votes.counts(opinions.vote_weight) + prior
    pooled = VOTE_WEIGHT * _doubted(np.log(shares / shares.sum(axis=1, keepdims=True)))
    for weight, log_confusion in (
        (DIAGONAL_WEIGHT, opinions.log_diagonal),
        (POOLED_WEIGHT, opinions.log_pooled),
    ):
        joint = _evidence(votes, log_confusion) + log_prior
        pooled += weight * _doubted(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    return pooled - np.logaddexp.reduce(pooled, axis=1, keepdims=True)


def _agreement(votes: Votes, log_item_prior: Floats | None) -> Floats:
    """Return how often each worker agrees with the majority, (workers,), shrunk to the mean.

    crowd-kit calls it Wawa, after Appen's worker agreement with aggregate.
    """
    counts = votes.counts()
    if log_item_prior is not None:
        counts += np.exp(log_item_prior - np.logaddexp.reduce(log_item_prior, axis=1)[:, None])
    agrees = counts.argmax(axis=1)[votes.items] == votes.labels
    agreed = np.bincount(votes.workers, weights=agrees, minlength=votes.n_workers)
    mean = float(agrees.mean()) if len(votes) else 1.0
    weight: Floats = (agreed + AGREEMENT_STRENGTH * mean) / (
        votes.answers_per_worker() + AGREEMENT_STRENGTH
    )
    return weight


def _evidence(votes: Votes, log_confusion: Floats) -> Floats:
    return dawid_skene.log_joint(votes, log_confusion, np.zeros(votes.n_labels))


def _doubted(log_opinion: Floats) -> Floats:
    log_doubt: Floats = np.maximum(log_opinion, np.log(DOUBT_MIN))
    return log_doubt


def _uniform(labels: int) -> Floats:
    return np.full(labels, 1.0 / labels)
