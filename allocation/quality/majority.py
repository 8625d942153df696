"""Majority vote, plain or weighted: the yardstick of every other method."""

import numpy as np

from allocation.quality.dawid_skene import expected_counts, m_step
from allocation.quality.votes import Fit, Floats, Votes


def fit(votes: Votes, weights: Floats | None = None) -> Fit:
    """Return each item's vote shares as its posterior, and the workers as these judge them.

    `weights` (workers,), not negative, makes the votes of each worker count that often. The class
    prior is the mean share of the items with votes; an item without votes gets it. Ties stay in
    the posterior, and `Fit.labels` gives them to the lowest code. Confusions are smoothed by the
    `diagonal` prior of `dawid_skene`.
    """
    counts = votes.counts(weights)
    total = counts.sum(axis=1, keepdims=True)
    voted = total[:, 0] > 0.0
    class_prior = np.full(votes.n_labels, 1.0 / votes.n_labels)
    if voted.any():
        class_prior = (counts[voted] / total[voted]).mean(axis=0)
    posterior = np.where(total > 0.0, counts / np.where(total > 0.0, total, 1.0), class_prior)
    return Fit(
        posterior=posterior,
        log_confusion=m_step(expected_counts(votes, posterior), "diagonal"),
        class_prior=class_prior,
        iterations=0,
        log_likelihood=(),
    )
