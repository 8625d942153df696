"""Two matchings anybody would write first, beside which `benchmarks.push` holds its own."""

import numpy as np
import numpy.typing as npt

from allocation.matching.bidders import SlotBidders
from allocation.matching.model import Ints
from allocation.matching.problem import FREE, Held, Problem, blocks
from benchmarks.push_cases import Case

_TURNS = 10

Floats = npt.NDArray[np.float64]


def best_pair_first(problem: Problem) -> Held:
    """Return the greedy matching of slots: again and again the pair worth most, while any is."""
    held = np.full(len(problem.slots), FREE, dtype=np.int32)
    room = problem.units.copy()
    slots = np.arange(len(held))
    best, gain = _best(problem, slots, room)
    while True:
        live = np.flatnonzero((held[slots] == FREE) & (gain > 0))
        slots, best, gain = slots[live], best[live], gain[live]
        order = np.argsort(-gain, kind="stable")
        fits = order[: _until_one_is_full(best[order], room)]
        if not len(fits):
            return held
        held[slots[fits]] = best[fits]
        room -= np.bincount(best[fits], minlength=len(room))
        stale = np.flatnonzero((room == 0)[best] & (held[slots] == FREE))
        best[stale], gain[stale] = _best(problem, slots[stale], room)


def round_robin(problem: Problem) -> Held:
    """Return what comes of dealing items to the skilled workers in turn, where that pays."""
    held = np.full(len(problem.slots), FREE, dtype=np.int32)
    worker, wait_s = problem.slots.worker, problem.slots.wait_s
    in_turn = np.argsort(np.arange(len(held)) - np.searchsorted(worker, worker), kind="stable")
    for turn in range(_TURNS):
        for of_class, units in enumerate(problem.units.tolist()):
            free = in_turn[held[in_turn] == FREE]
            net = problem.net[worker[free], of_class] - wait_s[free] * problem.weight[of_class]
            share = units * (turn + 1) // _TURNS - units * turn // _TURNS
            held[free[np.flatnonzero(net > 0)[:share]]] = of_class
    return held


def best_pair_first_of_items(case: Case) -> tuple[Ints, Ints, Floats]:
    """Return the greedy matching of a small case, by single items: item, worker, due time."""
    demand, supply = case.demand, case.supply
    items, workers = np.arange(len(demand)), np.arange(len(supply))
    net = case.values.rows(workers, demand.kind).T - supply.price
    net[(demand.skills[:, None] & ~supply.skills) != 0] = -np.inf
    net[demand.barred[:, 0], demand.barred[:, 1]] = -np.inf
    wanted, room, due_s = demand.wanted.copy(), supply.capacity.copy(), supply.queued_s.copy()
    found: list[tuple[int, int, float]] = []
    while True:
        gain = net - demand.weight[:, None] * (due_s + supply.seconds)
        gain[wanted == 0] = -np.inf
        gain[:, room == 0] = -np.inf
        item, worker = np.unravel_index(int(gain.argmax()), (len(items), len(workers)))
        if gain[item, worker] <= 0:
            break
        due_s[worker] += supply.seconds[worker]
        wanted[item], room[worker] = wanted[item] - 1, room[worker] - 1
        net[item, worker] = -np.inf
        found.append((int(item), int(worker), float(due_s[worker])))
    table = np.array(found).reshape(-1, 3)
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]


def _best(problem: Problem, slots: Ints, room: Ints) -> tuple[Ints, npt.NDArray[np.float32]]:
    """Return each slot's best class with room, and what it gains by that."""
    closed = np.where(room > 0, 0.0, np.inf).astype(np.float32)
    bidders = SlotBidders(problem, problem.slots)
    best = np.empty(len(slots), dtype=np.int64)
    gain = np.empty(len(slots), dtype=np.float32)
    for block in blocks(len(slots), len(room)):
        gains = bidders.gains(slots[block], closed)
        best[block] = gains.argmax(axis=1)
        gain[block] = gains.max(axis=1)
    return best, gain


def _until_one_is_full(wishes: Ints, room: Ints) -> int:
    """Return how many wishes in a row can be met before a class has none left."""
    full = len(wishes)
    for of_class in np.flatnonzero(np.bincount(wishes, minlength=len(room)) >= room).tolist():
        at = np.flatnonzero(wishes == of_class)
        if len(at) and room[of_class] > 0:
            full = min(full, int(at[room[of_class] - 1]) + 1)
    return full
