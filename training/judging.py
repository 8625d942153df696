"""Which items tell a candidate from the live model, and what each of them counts.

Audited items alone are few: some eighty a job, on which a candidate that is right ten points more
often still loses to chance. The items a job was taught by tell as much, one by one: a candidate is
cross-fitted, so on each of them speaks the member that has not seen it. But they were asked because
the live model doubted them, and where that is in doubt almost any other model looks better.

So items are put into strata of equal size by how sure the live model is of them, and each judged
item stands for its share of its stratum (D. Holt, T. M. F. Smith: Post Stratification, JRSS A
142(1), 1979). Which items of a stratum were asked depends on nothing that favours either model, and
items that are sure, which nobody is asked about, are there through the audit.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

STRATA = 10

TAUGHT_MAX = 5_000
"""So many taught items are judged, evenly drawn: more would tell no more that matters."""


def thinned(positions: Positions, most: int = TAUGHT_MAX) -> Positions:
    """Return at most `most` of the positions, evenly spread."""
    return positions[:: max(1, -(-len(positions) // most))]


def chances(sureness: npt.NDArray[np.floating], judged: Positions) -> Floats:
    """Return how likely each judged item (n,) was to be one, given how sure the live model is.

    `sureness` (items,) is its highest probability of each item of the job. The chances are those
    within strata of it, and above 0.
    """
    inner = np.linspace(0.0, 1.0, STRATA + 1)[1:-1]
    strata = np.searchsorted(np.quantile(sureness, inner), sureness)
    sizes = np.bincount(strata, minlength=STRATA)
    of_judged = strata[judged]
    found: Floats = np.bincount(of_judged, minlength=STRATA)[of_judged] / sizes[of_judged]
    return found
