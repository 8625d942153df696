"""What audited items say against a candidate that all judged items together speak for.

Most judged items are those the job was taught by (`training.judging`). The candidate has not seen
them, but others that the same crowd was asked about, and a crowd that is wrong by some rule finds
its pupil right wherever it is wrong itself. Audited items are few, but nothing that any model said
or learnt had a part in their truth. So they have two vetoes:

- they alone show at 10 % that the candidate is less often right (the sign-flip test of the gate);
- they show less of a gain than taught items do, beyond chance at 10 %: within each stratum of how
  sure the live model is, the gains of both kinds of items are alike in expectation, unless what is
  believed of the taught ones favours the candidate. The strata's differences are weighted by
  n_a n_t / (n_a + n_t), which tells the most, and compared with their standard error.

Neither makes a candidate pass. How sharp they are was chosen by simulation: see docs/training.md.
"""

import math
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from training.judging import Drawn
from training.sign_flips import sign_flip_p_value

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

Objection = Literal["worse on audited items", "its gain is not that on audited items"]

WORSE_LEVEL = 0.1
DISAGREEMENT_LEVEL = 0.1


def objection(gains: Floats, drawn: Drawn) -> Objection | None:
    """Return what audited items hold against a candidate; None for nothing.

    `gains` (n,) is by how much likelier it is right than the live model on each judged item.
    """
    audits = drawn.of(drawn.audited)
    losses = -audits.stands_for() * gains[drawn.audited]
    if losses.any() and sign_flip_p_value(losses[:, None]) <= WORSE_LEVEL:
        return "worse on audited items"
    if _disagreement_p_value(gains, drawn) <= DISAGREEMENT_LEVEL:
        return "its gain is not that on audited items"
    return None


def _disagreement_p_value(gains: Floats, drawn: Drawn) -> float:
    """Return how probably taught items would gain so much more than audited ones by chance."""
    audited, taught = (
        _Strata.of(gains, drawn, drawn.audited),
        _Strata.of(gains, drawn, ~drawn.audited),
    )
    both = (audited.items > 0) & (taught.items > 0)
    if not both.any():
        return 1.0
    of_audited, of_taught = audited.items[both], taught.items[both]
    weights = of_audited * of_taught / (of_audited + of_taught)
    excess = float(weights @ (taught.sums[both] / of_taught - audited.sums[both] / of_audited))
    of_means = audited.variance / of_audited + taught.variance / of_taught
    variance = float(np.square(weights) @ of_means)
    if variance == 0.0:
        return float(excess <= 0.0)
    return float(norm.sf(excess / math.sqrt(variance)))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Strata:
    """The gains of one kind of items: their number and sum in each stratum, and their variance."""

    items: Floats
    sums: Floats
    variance: float

    @classmethod
    def of(cls, gains: Floats, drawn: Drawn, rows: Bools) -> Self:
        strata, wanted = drawn.strata[rows], len(drawn.sizes)
        return cls(
            items=np.bincount(strata, minlength=wanted).astype(np.float64),
            sums=np.bincount(strata, weights=gains[rows], minlength=wanted).astype(np.float64),
            variance=float(gains[rows].var()) if rows.any() else 0.0,
        )
