"""An audit: labels as they stand, a random sample of them, and what independent workers said."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from allocation.quality.bound import Draws, foreseen, lower
from allocation.quality.control import Scores, controlled, estimated
from allocation.quality.drawing import Drawing
from allocation.quality.votes import Bools, Codes, Floats, Votes
from cluster.domain.jobs import Certificate, Stratum


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
    worker of `votes` had a say in that item's label. `planned` is how many items were to be audited
    before the first answer. `weights` (items,) says how much likelier some were to be drawn next
    than others, by nothing that was known only after; None where all were drawn alike.
    """

    labels: Labels
    positions: Codes
    votes: Votes
    planned: int
    weights: Floats | None = None

    def __post_init__(self) -> None:
        if len(self.positions) != self.votes.n_items:
            raise ValueError("positions and votes must cover the same items")
        if self.weights is not None and len(self.weights) != len(self.labels.codes):
            raise ValueError("weights and labels must cover the same items")

    @property
    def delivered(self) -> Codes:
        """The labels of the audited items, (n,)."""
        return self.labels.codes[self.positions]


class Graded(NamedTuple):
    """Scores of the audited items to bound the accuracy by, and those to estimate it by.

    `confidence` is what remains for the bound; `exact` is that of `controlled`.
    """

    cautious: Scores
    likely: Scores
    confidence: float
    exact: bool


def certified(audit: Audit, graded: Graded, *, confidence: float) -> Certificate:
    """Return the certificate of the labels decided by model, by crowd, and of all.

    A stratum without items is left out, except `overall`; one without audited items has estimate
    and bound 0.
    """
    labels = audit.labels
    strata = (
        _stratum("auto", audit, graded, labels.auto),
        _stratum("crowd", audit, graded, ~labels.auto),
        _stratum("overall", audit, graded, np.ones(len(labels.auto), dtype=np.bool_)),
    )
    kept = tuple(part for part in strata if part.items or part.name == "overall")
    return Certificate(confidence=confidence, strata=kept)


def drawn(audit: Audit, graded: Graded) -> Draws | None:
    """Return the scores of all audited items, to foresee by; None before the first.

    Nobody knows until then how noisy the audit is. Takes a look at every item.
    """
    if len(audit.positions) == 0:
        return None
    everything = np.ones(len(audit.labels.auto), dtype=np.bool_)
    return _draws(audit, graded, everything, _drawing(audit, everything))


def reachable(draws: Draws, *, accuracy: float, audited: int, confidence: float) -> float:
    """Return about what will be certified of all labels once so many items are audited.

    Those still to come are taken to be right with probability `accuracy`: with a higher one no
    less is reached. `confidence` is that of the grades (`Graded`).
    """
    return lower(foreseen(draws, accuracy, audited), confidence)


def _stratum(
    name: Literal["auto", "crowd", "overall"], audit: Audit, graded: Graded, part: Bools
) -> Stratum:
    here, drawing = part[audit.positions], _drawing(audit, part)
    bound = lower(_draws(audit, graded, part, drawing), graded.confidence)
    estimate = estimated(_chosen(graded.likely, here), drawing, audit.labels.believed[part])
    return Stratum(
        name=name,
        items=int(part.sum()),
        audited=int(here.sum()),
        accuracy_estimate=min(max(estimate, bound), 1.0),
        accuracy_lower=bound,
    )


def _draws(audit: Audit, graded: Graded, part: Bools, drawing: Drawing) -> Draws:
    """Return the cautious scores of the audited items of a part of all."""
    weights = _weights(audit)
    return controlled(
        _chosen(graded.cautious, part[audit.positions]),
        drawing,
        audit.labels.believed[part],
        planned=round(audit.planned * float(weights[part].sum() / max(weights.sum(), 1e-9))),
        exact=graded.exact,
    )


def _drawing(audit: Audit, part: Bools) -> Drawing:
    """Return how the audited items of a part were drawn from it."""
    row = np.cumsum(part) - 1
    return Drawing.of(row[audit.positions[part[audit.positions]]], _weights(audit)[part])


def _weights(audit: Audit) -> Floats:
    return np.ones(len(audit.labels.codes)) if audit.weights is None else audit.weights


def _chosen(scores: Scores, here: Bools) -> Scores:
    return Scores(
        values=scores.values[here], floor=scores.floor[here], variance=scores.variance[here]
    )
