"""Majority vote, plain and weighted: the yardstick, and the start of every iterative method."""

import numpy as np

from allocation.quality.votes import Floats, Votes


def vote_shares(votes: Votes, weights: Floats | None = None) -> Floats:
    """Return the share of each item's votes that went to each label, (items, labels).

    `weights` (workers,) makes votes count differently; they must not be negative. An item without
    votes, or whose votes all weigh nothing, gets equal shares.
    """
    size = votes.n_items * votes.n_labels
    cells = votes.items * votes.n_labels + votes.labels
    per_vote = None if weights is None else weights[votes.workers]
    tally = np.bincount(cells, weights=per_vote, minlength=size).astype(np.float64)
    tally = tally.reshape(votes.n_items, votes.n_labels)
    total = tally.sum(axis=1, keepdims=True)
    return np.where(total > 0.0, tally / np.where(total > 0.0, total, 1.0), 1.0 / votes.n_labels)
