"""An audit: labels as they stand, a random sample of them, and what independent workers said."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from allocation.quality.bound import lower
from allocation.quality.control import Scores, controlled, estimated
from allocation.quality.votes import Codes, Floats, Votes
from cluster.domain.jobs import Certificate, Stratum

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Labels:
    """The labels a job would deliver, (items,) each.

    `auto` says whether the model alone decided, `believed` is the probability of being right.
    """

    codes: Codes
    auto: Bools
    believed: Floats

    def __post_init__(self) -> None:
        if not len(self.codes) == len(self.auto) == len(self.believed):
            raise ValueError("codes, auto and believed must cover the same items")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Audit:
    """Audited items in the order of the audit sample, and what independent workers said of them.

    `positions` (n,) are the items' places in `labels`, and `votes.items` are rows of these; no
    worker of `votes` had a say in that item's label. `planned` is how many items are audited in
    the end.
    """

    labels: Labels
    positions: Codes
    votes: Votes
    planned: int

    def __post_init__(self) -> None:
        if len(self.positions) != self.votes.n_items:
            raise ValueError("positions and votes must cover the same items")

    @property
    def delivered(self) -> Codes:
        """The labels of the audited items, (n,)."""
        return self.labels.codes[self.positions]


class Graded(NamedTuple):
    """Scores of the audited items to bound the accuracy by, and those to estimate it by."""

    cautious: Scores
    likely: Scores


def certified(
    audit: Audit,
    graded: Graded,
    *,
    confidence: float,
    sampling_confidence: float,
    exact: bool,
) -> Certificate:
    """Return the certificate of the labels decided by model, by crowd, and of all.

    A stratum without items is left out, except `overall`; one without audited items has estimate
    and bound 0. `sampling_confidence` is what remains of `confidence` for the bound; `exact` is
    that of `controlled`.
    """
    labels = audit.labels

    def stratum(name: Literal["auto", "crowd", "overall"], part: Bools) -> Stratum:
        here = part[audit.positions]
        believed, everyone = labels.believed[audit.positions[here]], labels.believed[part]
        planned = round(audit.planned * len(everyone) / max(len(part), 1))
        cautious, likely = (_chosen(scores, here) for scores in graded)
        draws = controlled(cautious, believed, everyone, planned=planned, exact=exact)
        bound = lower(draws, sampling_confidence)
        estimate = estimated(likely, believed, everyone)
        return Stratum(
            name=name,
            items=len(everyone),
            audited=int(here.sum()),
            accuracy_estimate=min(max(estimate, bound), 1.0),
            accuracy_lower=bound,
        )

    strata = (
        stratum("auto", labels.auto),
        stratum("crowd", ~labels.auto),
        stratum("overall", np.ones(len(labels.auto), dtype=np.bool_)),
    )
    kept = tuple(part for part in strata if part.items or part.name == "overall")
    return Certificate(confidence=confidence, strata=kept)


def _chosen(scores: Scores, here: Bools) -> Scores:
    return Scores(
        values=scores.values[here], floor=scores.floor[here], variance=scores.variance[here]
    )
