"""The gap between what a crowd agrees on and what the client calls right.

However often a crowd is asked, its consensus and the reference labels differ on some items: the
item is ambiguous, the instructions are read otherwise, or the reference is wrong. No number of
further crowd answers shows this. On published tables, Dawid-Skene over all answers expects 3 to 20
points more than it reaches, half of the sets 5 to 10 (docs/truth-inference.md lists them); that is
what is assumed here until reviewers, whose word is the reference, have checked delivered labels.
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from allocation.quality.bound import lower
from allocation.quality.certificate import Audit
from allocation.quality.votes import Floats
from cluster.domain.jobs import Certificate, Stratum

GAP_PRIOR = 0.07
GAP_PRIOR_ITEMS = 30.0
"""The share of items a crowd is assumed to get wrong for good, and how many reviewed items
that assumption weighs as much as."""


@dataclass(frozen=True, slots=True)
class ReferenceGap:
    """The share of labels a consensus believes right that the reference calls wrong."""

    share: float = GAP_PRIOR

    def after(self, expected: Floats, right: npt.NDArray[np.bool_]) -> Self:
        """Return the gap after reviews: `expected` (n,) probabilities, `right` (n,) findings."""
        believed = float(expected.sum()) + GAP_PRIOR_ITEMS
        found = float(right.sum()) + GAP_PRIOR_ITEMS * (1.0 - self.share)
        return type(self)(float(np.clip(1.0 - found / believed, 0.0, 0.5)))

    def discounted(self, expected_accuracy: float) -> float:
        """Return the accuracy to be expected against the reference."""
        return expected_accuracy * (1.0 - self.share)

    def discounted_each(self, probability: Floats, labels: int) -> Floats:
        """Return each label's probability of being the reference's, (n,)."""
        return np.asarray(probability * (1.0 - self.share) + self.share / labels)

    def error_allowed(self, goal: float) -> float:
        """Return the expected error of the consensus at which a goal is just met; may be < 0."""
        return 1.0 - goal / (1.0 - self.share)


def certify_reviewed(
    audit: Audit, *, auto_items: int, crowd_items: int, confidence: float
) -> Certificate:
    """Return the certificate where reviewers audit: a label is right if they say the same."""
    votes = audit.votes
    agreed = np.bincount(
        votes.items, weights=votes.labels == audit.delivered[votes.items], minlength=votes.n_items
    )
    scores = agreed / np.maximum(votes.answers_per_item(), 1)

    def stratum(
        name: Literal["auto", "crowd", "overall"], items: int, part: npt.NDArray[np.bool_]
    ) -> Stratum:
        here = scores[part]
        return Stratum(
            name=name,
            items=items,
            audited=len(here),
            accuracy_estimate=float(here.mean()) if len(here) else 0.0,
            accuracy_lower=float(lower(here, confidence)) if len(here) else 0.0,
        )

    strata = [
        stratum("auto", auto_items, audit.auto),
        stratum("crowd", crowd_items, ~audit.auto),
        stratum("overall", auto_items + crowd_items, np.ones(len(scores), dtype=np.bool_)),
    ]
    kept = tuple(part for part in strata if part.items or part.name == "overall")
    return Certificate(confidence=confidence, strata=kept)
