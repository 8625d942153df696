"""Which items tell a candidate from the live model, and what each of them counts.

Audited items alone are few: some eighty a job, on which a candidate that is right ten points more
often still loses to chance. The items a job was taught by tell as much, one by one: a candidate is
cross-fitted, so on each of them speaks the member that has not seen it. But they were asked because
the live model doubted them, and where that is in doubt almost any other model looks better.

So items are put into strata of equal size by how sure the live model is of them, and each judged
item stands for its share of its stratum (D. Holt, T. M. F. Smith: Post Stratification, JRSS A
142(1), 1979). Which items of a stratum were asked depends on nothing that favours either model, and
items that are sure, which nobody is asked about, are there through the audit.

What is believed of a taught item is what the candidate has learnt from others like it: a crowd that
is wrong by some rule finds its own pupil right. `training.objection` is what keeps that out.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

STRATA = 10

TAUGHT_MAX = 5_000
"""So many taught items are judged, evenly drawn: more would tell no more that matters."""


def thinned(positions: Positions, most: int = TAUGHT_MAX) -> Positions:
    """Return at most `most` of the positions, evenly spread."""
    return positions[:: max(1, -(-len(positions) // most))]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Drawn:
    """How judged items (n,) came to be judged.

    `audited` tells those apart whose truth no model had a part in; `strata` (n,) is where each lies
    by how sure the live model is of it, and `sizes` (STRATA,) how many items of the job lie there.
    """

    audited: Bools
    strata: Positions
    sizes: Positions

    @classmethod
    def alike(cls, items: int) -> Self:
        """Return so many audited items of which each was as likely to be judged."""
        strata = np.zeros(items, np.int64)
        return cls(audited=np.ones(items, np.bool_), strata=strata, sizes=np.array([items]))

    @classmethod
    def by_sureness(
        cls, sureness: npt.NDArray[np.floating], judged: Positions, audited: Bools
    ) -> Self:
        """Return how the judged positions (n,) were drawn, of which some were audited (n,).

        `sureness` (items,) is the live model's highest probability of each item of the job.
        """
        inner = np.linspace(0.0, 1.0, STRATA + 1)[1:-1]
        strata = np.searchsorted(np.quantile(sureness, inner), sureness)
        sizes = np.bincount(strata, minlength=STRATA)
        return cls(audited=audited, strata=strata[judged], sizes=sizes)

    def of(self, rows: Bools) -> "Drawn":
        """Return the same of some of the judged items."""
        return Drawn(audited=self.audited[rows], strata=self.strata[rows], sizes=self.sizes)

    def stands_for(self) -> Floats:
        """Return how many items of the job each judged one (n,) stands for: at least itself."""
        judged = np.bincount(self.strata, minlength=len(self.sizes))
        found: Floats = self.sizes[self.strata] / judged[self.strata]
        return found
