"""The reference a client means, and what reviewers, whose word it is, say of the labels.

However often a crowd is asked, its consensus and the reference differ on some items: the item is
ambiguous, the instructions are read otherwise, or the reference is wrong. No number of answers of
the crowd shows this. docs/truth-inference.md lists how large it was on published tables.
"""

import numpy as np

from allocation.quality.audit import Audit, Graded, certified
from allocation.quality.control import Scores
from allocation.quality.votes import Floats
from cluster.domain.jobs import Certificate

SHARED_ERRORS = 0.006
"""The share of labels a pooled crowd is taken to believe and the reference to deny."""

SHARED_ERRORS_WITH_MODEL = 0.025
"""The same where a model votes too: it has learnt from the crowd, and confirms its errors."""


def shared_errors(*, reviewed: bool, model: bool) -> float:
    """Return the share of labels believed beyond the reference: none where reviewers tell."""
    if reviewed:
        return 0.0
    return SHARED_ERRORS_WITH_MODEL if model else SHARED_ERRORS


def discounted(probability: Floats, shared: float) -> Floats:
    """Return probabilities of being the reference's label, given those of being the job's."""
    return probability * (1.0 - shared)


def error_allowed(goal: float, shared: float) -> float:
    """Return the expected error of the consensus at which a goal is just met; may be below 0."""
    return 1.0 - goal / (1.0 - shared)


def certify_reviewed(audit: Audit, *, confidence: float) -> Certificate:
    """Return the certificate where reviewers audit: a label is right if they say the same."""
    return certified(
        audit, graded_by_reviewers(audit, confidence=confidence), confidence=confidence
    )


def graded_by_reviewers(audit: Audit, *, confidence: float) -> Graded:
    """Return the share of the reviewers of each audited item who agree, as its score."""
    votes = audit.votes
    agreed = np.bincount(
        votes.items, weights=votes.labels == audit.delivered[votes.items], minlength=votes.n_items
    )
    nothing = np.zeros(votes.n_items)
    scores = Scores(
        values=agreed / np.maximum(votes.answers_per_item(), 1), floor=nothing, variance=nothing
    )
    return Graded(cautious=scores, likely=scores, confidence=confidence, exact=True)
