"""Which items are audited and which are asked first: keyed random samples of a job's items.

The samples are functions of the job's seed alone, so every process draws the same ones.
"""

import numpy as np
import numpy.typing as npt

from allocation.shortlist import keyed_unit
from cluster.domain.jobs import CrowdTerms

Positions = npt.NDArray[np.int64]

SEED_SHARE = 0.1
SEED_ITEMS_A_LABEL = 10


def audit_sample(items: int, crowd: CrowdTerms, seed: int) -> Positions:
    """Return the audited positions in audit order: a uniform sample without replacement."""
    wanted = round(items * crowd.audit_share)
    if crowd.audit_share > 0.0:
        wanted = max(wanted, crowd.audit_items_min)
    return _order(items, seed)[: min(wanted, crowd.audit_items_max, items)]


def seed_sample(items: int, labels: int, crowd: CrowdTerms, seed: int) -> Positions:
    """Return the positions that a job without a trained model asks about first.

    A tenth of the items, but 10 a label where there are as many: enough to train a first head and
    to tell good workers from bad ones. They are drawn apart from the audit sample, which no model
    may learn from.
    """
    rest = _order(items, seed)[len(audit_sample(items, crowd, seed)) :]
    return rest[: max(round(items * SEED_SHARE), SEED_ITEMS_A_LABEL * labels)]


def mask_of(items: int, positions: Positions) -> npt.NDArray[np.bool_]:
    """Return which items are among the positions, (items,)."""
    mask = np.zeros(items, dtype=np.bool_)
    mask[positions] = True
    return mask


def _order(items: int, seed: int) -> Positions:
    positions = np.arange(items, dtype=np.int32)
    order: Positions = np.argsort(keyed_unit(positions, seed), kind="stable").astype(np.int64)
    return order
