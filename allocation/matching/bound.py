"""What no matching can exceed: the value of the dual program at given prices.

For any prices a >= 0 of classes and surcharges m >= 0 of (worker, class), weak duality bounds the
worth of every matching, fractional ones too, by

    sum_c a(c) units(c) + sum_wc m(w,c) limit(w,c)
        + sum over slots of max(0, max_c net(w,c) - weight(c) wait(slot) - a(c) - m(w,c)).

Good surcharges are read off the solution whose prices they are: where a worker has all they may
have of a class, it is what their other slots would gain by one more.
"""

import numpy as np

from allocation.matching.model import Ints
from allocation.matching.problem import (
    FREE,
    Held,
    Limits,
    Problem,
    Singles,
    Solution,
    blocks,
)

_CHAIN_MAX = 8


def upper_bound(problem: Problem, solution: Solution) -> float:
    """Return a bound on the worth of any matching, exact up to single precision.

    It is valid for any solution, and close for a good one.
    """
    total = float(solution.prices.astype(np.float64) @ problem.units)
    starts = np.searchsorted(problem.slots.worker, np.arange(problem.net.shape[0] + 1))
    # Where limits bind, each slot of a worker is held against each.
    slots_max = int(np.diff(starts).max(initial=0))
    columns = max(problem.net.shape[1], 0 if problem.limit is None else slots_max**2)
    for block in blocks(problem.net.shape[0], columns):
        bounds = starts[block.start : block.stop + 1]
        reduced = problem.net[block] - solution.prices
        if problem.limit is not None:
            limit = problem.limit[block]
            surcharge = _surcharges(problem, solution.held, reduced, limit, bounds)
            total += float((surcharge * limit).sum(dtype=np.float64))
            reduced -= surcharge
        total += _slot_gains(problem, reduced, bounds)
    return total


def _slot_gains(problem: Problem, reduced: Singles, bounds: Ints) -> float:
    """Return what the slots of a block of workers gain at most; one weight at a time."""
    room = np.diff(bounds)
    wait_s = problem.slots.wait_s[bounds[0] : bounds[-1]]
    worker = np.repeat(np.arange(len(room)), room)
    gains = np.zeros(len(wait_s), dtype=np.float32)
    for weight in np.unique(problem.weight):
        best = reduced[:, problem.weight == weight].max(axis=1)
        np.maximum(gains, best[worker] - weight * wait_s, out=gains)
    return float(gains.sum(dtype=np.float64))


def _surcharges(
    problem: Problem, held: Held, reduced: Singles, limit: Limits, bounds: Ints
) -> Singles:
    """Return what one more unit of a class would bring a worker who may have no more of it.

    What a slot gains by its own class is net of the surcharge on that, so the surcharges of a
    worker are found together, by as many rounds of Bellman and Ford as chains of slots matter.
    """
    surcharge = np.zeros(reduced.shape, dtype=np.float32)
    room = np.diff(bounds)
    columns = np.arange(int(room.max(initial=0)))
    is_slot = columns < room[:, None]
    slot = np.where(is_slot, bounds[:-1, None] + columns, bounds[0])
    has = np.where(is_slot, held[slot], FREE)
    is_held, row = has != FREE, np.arange(len(room))[:, None]
    full = is_held & ((has[:, :, None] == has[:, None, :]).sum(axis=2) >= limit[row, has])
    wait_s = problem.slots.wait_s[slot]
    gain = reduced[row, has][:, :, None] - problem.weight[has][:, :, None] * wait_s[:, None, :]
    own = np.where(is_held, np.diagonal(gain, axis1=1, axis2=2), 0.0)
    gain[(has[:, :, None] == has[:, None, :]) | ~is_slot[:, None, :]] = -np.inf
    extra = np.zeros(has.shape, dtype=np.float32)
    for _ in range(min(len(columns), _CHAIN_MAX)):
        wish = (gain - np.maximum(own - extra, 0.0)[:, None, :]).max(axis=2, initial=0.0)
        extra = np.where(full, wish, 0.0)
    surcharge[np.nonzero(is_held)[0], has[is_held]] = extra[is_held]
    return surcharge
