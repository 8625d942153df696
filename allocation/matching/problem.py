"""The matching as a transportation problem: classes of like items against slots of workers.

Items of one kind, skills and weight are alike, so that only their number counts. A worker's n-th
answer is their slot n, with a waiting time of its own, which makes waiting a cost that is linear
in who gets which slot (W. A. Horn: Minimizing average flow time with parallel machines, Operations
Research 21, 1973). What is left is

    maximise    sum over class c, worker w, slot n of  x(c,w,n) (net(w,c) - weight(c) wait(w,n))
    subject to  sum_wn x(c,w,n) <= units(c),  sum_c x(c,w,n) <= 1,  sum_n x(c,w,n) <= limit(w,c)

where `limit` is the number of items of c on which w may be asked: nobody answers an item twice.
Its constraints are those of a network, so that its linear relaxation has an integral optimum.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from allocation.matching.model import Demand, Floats, Ints, Masks, Supply, Values
from cluster.errors import InvalidField, TooLarge

CELLS_MAX = 1 << 28
"""Classes times workers: 1 GiB of single precision."""

FREE = -1
"""What a slot holds that has no answer."""

BLOCK_CELLS = 1 << 21

Singles = npt.NDArray[np.float32]
Limits = npt.NDArray[np.uint16]
Held = npt.NDArray[np.int32]


class Classes(NamedTuple):
    """Each item's class, and an item of each class to stand for it."""

    class_of: Ints
    first: Ints


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Slots:
    """Places for answers, in the order of their workers; `wait_s` is how long one takes to come."""

    worker: npt.NDArray[np.int32]
    wait_s: Singles

    def __len__(self) -> int:
        return len(self.worker)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Problem:
    """Classes of items (classes,), slots of workers, and what they are worth to one another.

    `net` (workers, classes) is worth less price, -inf where the skills lack or every item is
    barred. `limit` (workers, classes) bounds a worker's answers in a class; None where no worker
    has as many slots as a class has items for them.
    """

    class_of: Ints
    units: Ints
    weight: Singles
    net: Singles
    limit: Limits | None
    slots: Slots


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Solution:
    """Which class each slot answers, -1 for none, and a price of each class's units.

    Prices are multipliers of the units' constraint: any that are not negative give a bound, and
    good ones a close one. `optimum` is what the linear program is worth, where it was solved.
    """

    held: Held
    prices: Singles
    optimum: float | None = None


def classify(demand: Demand, *, exact: bool) -> Classes:
    """Return the classes of a demand.

    Exact ones tell items apart that want different numbers of answers, or from which somebody is
    barred: then what is best for the classes can always be dealt out to single items. Where
    classes are large the difference is nothing.
    """
    code = np.zeros(len(demand), dtype=np.int64)
    columns: list[npt.NDArray[np.generic]] = [demand.kind, demand.skills, demand.weight]
    if exact:
        alone = np.zeros(len(demand), dtype=np.int64)
        alone[demand.barred[:, 0]] = demand.barred[:, 0] + 1
        columns += [demand.wanted, alone]
    for column in columns:
        distinct, index = np.unique(column, return_inverse=True)
        code = np.unique(code * len(distinct) + index, return_inverse=True)[1]
    first = np.unique(code, return_index=True)[1]
    return Classes(code, first)


def formulate(demand: Demand, supply: Supply, values: Values, classes: Classes) -> Problem:
    """Return the problem of a demand.

    Raises TooLarge beyond `CELLS_MAX`, and InvalidField where `barred` names a worker who is not
    there.
    """
    class_of, first = classes
    if len(first) * len(supply) > CELLS_MAX:
        cells = len(first) * len(supply)
        raise TooLarge("classes of items times workers", cells, CELLS_MAX, "cells")
    if len(demand.barred) and int(demand.barred[:, 1].max()) >= len(supply):
        raise InvalidField("demand.barred", "it names a worker who is not there")
    sizes = np.bincount(class_of, minlength=len(first))
    units = np.bincount(class_of, weights=demand.wanted, minlength=len(first)).astype(np.int64)
    net = _net(demand, supply, values, first)
    net[:, units == 0] = -np.inf
    weight = demand.weight[first]
    room = _slots_worth_having(supply, net, weight, sizes)
    limit = _limit(demand, class_of, sizes, room)
    if limit is not None:
        net[limit == 0] = -np.inf
    return Problem(
        class_of=class_of,
        units=units,
        weight=weight.astype(np.float32),
        net=net,
        limit=limit,
        slots=_slots(supply, room),
    )


def seated(problem: Problem, worker: npt.NDArray[np.integer], of_class: Ints) -> Held:
    """Return who answers what as slots: each worker's answers in order, the most urgent first."""
    order = np.lexsort((-problem.weight[of_class], worker))
    worker, of_class = worker[order], of_class[order]
    nth = np.arange(len(worker)) - np.searchsorted(worker, worker)
    held = np.full(len(problem.slots), FREE, dtype=np.int32)
    held[np.searchsorted(problem.slots.worker, worker) + nth] = of_class
    return held


def covers(have: Masks, need: Masks) -> npt.NDArray[np.bool_]:
    """Return which masks have all the skills of which others, (have, need)."""
    found: npt.NDArray[np.bool_] = (need[None, :] & ~have[:, None]) == 0
    return found


def worth_of_slots(problem: Problem, held: Held) -> float:
    """Return what the answers that slots hold are worth together."""
    busy = np.flatnonzero(held != FREE)
    of_class, slots = held[busy], problem.slots
    wait_s = slots.wait_s[busy].astype(np.float64)
    net = problem.net[slots.worker[busy], of_class].astype(np.float64)
    return float((net - problem.weight[of_class] * wait_s).sum())


def blocks(rows: int, columns: int) -> list[slice]:
    """Return slices over rows such that a block of each has a bounded number of cells."""
    step = max(1, BLOCK_CELLS // max(columns, 1))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def _net(demand: Demand, supply: Supply, values: Values, first: Ints) -> Singles:
    masks, mask_of = np.unique(supply.skills, return_inverse=True)
    penalty = np.where(covers(masks, demand.skills[first]), 0.0, -np.inf).astype(np.float32)
    net = np.empty((len(supply), len(first)), dtype=np.float32)
    for block in blocks(len(supply), len(first)):
        workers = np.arange(block.start, block.stop)
        worth = values.rows(workers, demand.kind[first]) - supply.price[block, None]
        np.add(worth, penalty[mask_of[block]], out=net[block], casting="same_kind")
    return net


def _slots_worth_having(supply: Supply, net: Singles, weight: Floats, sizes: Ints) -> Ints:
    """Return how many answers of each worker could be worth their price and their wait."""
    room = np.empty(len(supply), dtype=np.int64)
    for block in blocks(len(supply), net.shape[1]):
        patience = np.full(net[block].shape, np.inf)
        np.divide(net[block], weight, out=patience, where=weight > 0)
        patience[net[block] <= 0] = -np.inf
        left = patience.max(axis=1, initial=-np.inf) - supply.queued_s[block]
        worth = np.where(left > 0, np.inf, 0.0)
        each = supply.seconds[block]
        np.divide(left, each, out=worth, where=(each > 0) & (left > 0))
        room[block] = np.minimum((net[block] > 0) @ sizes, np.floor(worth))
    return np.minimum(room, supply.capacity)


def _limit(demand: Demand, class_of: Ints, sizes: Ints, room: Ints) -> Limits | None:
    """Return how many items of a class each worker may be asked about, if that ever binds."""
    most = min(int(room.max(initial=0)), 65_535)
    pair, barred = np.unique(
        demand.barred[:, 1] * len(sizes) + class_of[demand.barred[:, 0]], return_counts=True
    )
    workers, classes = pair // len(sizes), pair % len(sizes)
    free = sizes[classes] - barred
    if sizes.min(initial=most) >= most and (free >= room[workers]).all():
        return None
    limit = np.broadcast_to(np.minimum(sizes, most), (len(room), len(sizes))).astype(np.uint16)
    limit[workers, classes] = np.minimum(free, most)
    return limit


def _slots(supply: Supply, room: Ints) -> Slots:
    worker = np.repeat(np.arange(len(supply), dtype=np.int32), room)
    nth = np.arange(1, len(worker) + 1) - np.repeat(np.cumsum(room) - room, room)
    wait_s = supply.queued_s[worker] + nth * supply.seconds[worker]
    return Slots(worker=worker, wait_s=wait_s.astype(np.float32))
