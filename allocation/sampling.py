"""Which items are audited and which are asked first: keyed random samples of a job's items.

The samples are functions of the job's seed and of what was believed before anything was asked, so
every process draws the same ones.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from allocation.shortlist import keyed_unit
from cluster.domain.jobs import CrowdTerms

Positions = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SEED_SHARE = 0.1
SEED_ITEMS_A_LABEL = 10

UNIFORM_SHARE = 0.5
"""The share of the weight that all items have alike, so that none counts for more than two."""

DOUBT_POWER = 0.25
"""The weight rises with this power of the variance that is expected of a label's correctness.

The square root of it, a half, would be best if beliefs came true.
"""

CHANCE_MAX = 0.25
"""No item is audited with a greater probability than about this because it is in doubt."""

AUDITED_MIN = 100
"""Fewer audits are drawn uniformly: their bound is narrowest where none can count for more."""

MORE_SHARE = 0.25
"""The share of the other items that may be audited besides; the rest is to be learnt from."""

CLASSES_MAX = 8
"""Weights are rounded to so many levels."""

FINE_KEY = 0x5BD1E995


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AuditPlan:
    """Which items of a job are audited, and which are next where those do not prove enough.

    `order` (n,) are their positions in audit order, and `more` those of the next in it. Each came
    next, of the items left, with a probability in proportion to its weight; `weights` (items,)
    average 1.
    """

    order: Positions
    weights: Floats
    more: Positions = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def wider(self, items: int) -> "AuditPlan":
        """Return the plan by which so many more items are audited, or all there are."""
        order = np.concatenate([self.order, self.more[:items]])
        return replace(self, order=order, more=self.more[items:])

    def reaching(self, positions: Positions) -> "AuditPlan":
        """Return the plan wide enough to have all of these positions that may be audited."""
        found = np.flatnonzero(np.isin(self.more, positions))
        return self if len(found) == 0 else self.wider(int(found[-1]) + 1)

    def audited(self, answered: npt.NDArray[np.bool_]) -> Positions:
        """Return the positions to certify by, in audit order, given which are answered (items,).

        Where weights differ the order tells something of the labels, so that what comes behind one
        that is not answered yet has to wait for it.
        """
        known = answered[self.order]
        if (self.weights == self.weights[:1]).all() or known.all():
            return self.order[known]
        return self.order[: int(known.argmin())]


def uniform_plan(items: int, crowd: CrowdTerms, seed: int) -> AuditPlan:
    """Return the plan by which all items are as likely to be audited."""
    return _planned(_order(items, seed), np.ones(items), crowd)


def doubting_plan(believed: Floats, goal: float, crowd: CrowdTerms, seed: int) -> AuditPlan:
    """Return the plan by which labels likely to be wrong are likelier to be audited.

    It is the uniform one where fewer than `AUDITED_MIN` items are audited. `believed` (items,) is
    the probability of each item's likeliest label before anybody is asked. Of an item below the
    goal the crowd is asked until it is about there.
    """
    items = len(believed)
    wanted = audited_items(items, crowd)
    if wanted < AUDITED_MIN:
        return uniform_plan(items, crowd, seed)
    error = np.minimum(1.0 - np.clip(believed, 0.0, 1.0), 1.0 - goal)
    doubt = (error * (1.0 - error)) ** DOUBT_POWER
    share = doubt / doubt.mean() if doubt.any() else np.ones(items)
    weights = UNIFORM_SHARE + (1.0 - UNIFORM_SHARE) * share
    weights = _levelled(np.minimum(weights, CHANCE_MAX * items / wanted))
    # The first to come of clocks that ring at these rates: each item left is next by its weight.
    rings = -np.log1p(-_unit(items, seed)) / weights
    order: Positions = np.argsort(rings, kind="stable").astype(np.int64)
    return _planned(order, weights, crowd)


def audited_items(items: int, crowd: CrowdTerms) -> int:
    """Return how many items are audited."""
    wanted = round(items * crowd.audit_share)
    if crowd.audit_share > 0.0:
        wanted = max(wanted, crowd.audit_items_min)
    return min(wanted, crowd.audit_items_max, items)


def seed_sample(plan: AuditPlan, labels: int, seed: int) -> Positions:
    """Return the positions that a job without a trained model asks about first.

    A tenth of the items, but 10 a label where there are as many: enough to train a first head and
    to tell good workers from bad ones. They are drawn apart from those that are audited or may be:
    no model may learn from the first, and the others must be no surer than any.
    """
    items = len(plan.weights)
    order, audited = _order(items, seed), np.concatenate([plan.order, plan.more])
    rest = order[~mask_of(items, audited)[order]]
    return rest[: max(round(items * SEED_SHARE), SEED_ITEMS_A_LABEL * labels)]


def mask_of(items: int, positions: Positions) -> npt.NDArray[np.bool_]:
    """Return which items are among the positions, (items,)."""
    mask = np.zeros(items, dtype=np.bool_)
    mask[positions] = True
    return mask


def _planned(order: Positions, weights: Floats, crowd: CrowdTerms) -> AuditPlan:
    wanted = audited_items(len(order), crowd)
    rest = len(order) - wanted if wanted else 0
    more = min(max(crowd.audit_items_max - wanted, 0), round(MORE_SHARE * rest))
    return AuditPlan(order=order[:wanted], more=order[wanted : wanted + more], weights=weights)


def _levelled(weights: Floats) -> Floats:
    """Return weights rounded to a few levels of equal ratio, with mean 1."""
    lowest, highest = weights.min(initial=np.inf), weights.max(initial=0.0)
    steps = CLASSES_MAX * np.log(weights / lowest) / max(np.log(highest / lowest), 1e-9)
    level = np.minimum(steps.astype(np.int64), CLASSES_MAX - 1)
    count = np.maximum(np.bincount(level, minlength=CLASSES_MAX), 1)
    levels = np.bincount(level, weights=weights, minlength=CLASSES_MAX) / count
    found: Floats = levels[level] / levels[level].mean() if len(level) else weights
    return found


def _order(items: int, seed: int) -> Positions:
    positions = np.arange(items, dtype=np.int32)
    order: Positions = np.argsort(keyed_unit(positions, seed), kind="stable").astype(np.int64)
    return order


def _unit(items: int, seed: int) -> Floats:
    """Return a number in (0, 1) for each item, finer than the items of the largest job are many."""
    positions = np.arange(items, dtype=np.int32)
    coarse = keyed_unit(positions, seed).astype(np.float64)
    fine = keyed_unit(positions, seed ^ FINE_KEY).astype(np.float64)
    return coarse + (fine + 2.0**-25) * 2.0**-24
