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

SHARED_ERRORS = 0.015
"""How much more a pooled crowd believes than the reference confirms, as a share of its labels: the
mean over published tables. Only reviewers can tell what it is on a new one."""


def discounted(probability: Floats, *, reviewed: bool) -> Floats:
    """Return probabilities of being the reference's label, given those of being the crowd's."""
    return probability if reviewed else probability * (1.0 - SHARED_ERRORS)


def error_allowed(goal: float, *, reviewed: bool) -> float:
    """Return the expected error of the consensus at which a goal is just met; may be below 0."""
    return 1.0 - (goal if reviewed else goal / (1.0 - SHARED_ERRORS))


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
