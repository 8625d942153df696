"""Small matchings of many shapes, and what the best of them is by a linear program of single items.

The program knows nothing of classes: it has a variable for each item, worker and slot.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import csr_array

from allocation.matching.model import Demand, Supply, Table, Values


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Case:
    """One matching to be found."""

    demand: Demand
    supply: Supply
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What cases are like: bounds of uniform draws.

    Items need `need_bits` skills, workers have `have_bits`, each with probability a half. Worth
    and prices come in so many `levels`; 0 for all different. Of all pairs, `barred` are.
    """

    items: int = 30
    workers: int = 15
    wanted: int = 3
    capacity: int = 6
    need_bits: int = 1
    have_bits: int = 2
    kinds: int = 30
    weights: tuple[float, ...] = (0.0, 0.002, 0.01)
    levels: int = 0
    price: float = 0.5
    barred: float = 0.02


SHAPES: Mapping[str, Shape] = {
    "plain": Shape(),
    "scarce capacity": Shape(items=40, workers=10, capacity=3, wanted=2),
    "scarce skill": Shape(need_bits=3, have_bits=3),
    "tight redundancy": Shape(items=10, workers=6, wanted=6, capacity=12, price=0.1),
    "degenerate prices": Shape(levels=2, weights=(0.0,)),
    "all alike": Shape(levels=1, kinds=1, weights=(0.002,)),
    "one worker": Shape(workers=1, capacity=20),
    "urgent": Shape(weights=(0.01, 0.03, 0.1)),
    "barred": Shape(items=15, workers=8, barred=0.4, kinds=4),
    "large classes": Shape(items=60, kinds=3, weights=(0.002,)),
    "more than enough": Shape(items=12, workers=20, capacity=10),
    "dear": Shape(price=2.0),
}


def cases(shape: Shape, count: int, seed: int) -> Iterator[Case]:
    """Yield so many cases of a shape; the same for the same seed."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield _case(shape, rng)


def optimum(case: Case) -> float:
    """Return what the best matching is worth, fractional ones included; 0 where none pays."""
    demand, supply = case.demand, case.supply
    item, worker, nth = (found.ravel() for found in np.indices(_extent(case)))
    barred = np.zeros((len(demand), len(supply)), dtype=np.bool_)
    barred[demand.barred[:, 0], demand.barred[:, 1]] = True
    may = (demand.skills[item] & ~supply.skills[worker]) == 0
    may &= ~barred[item, worker] & (nth < supply.capacity[worker])
    item, worker, nth = item[may], worker[may], nth[may]
    if not len(item):
        return 0.0
    due_s = supply.queued_s[worker] + (nth + 1) * supply.seconds[worker]
    gain = case.values.pairs(demand.kind[item], worker) - supply.price[worker]
    slot, pair = worker * _extent(case)[2] + nth, item * len(supply) + worker
    found = linprog(  # type: ignore[call-overload]  # the stubs know of no sparse matrices
        demand.weight[item] * due_s - gain,
        A_ub=_sums([item, slot, pair], [len(demand), slot.max() + 1, pair.max() + 1]),
        b_ub=np.concatenate([demand.wanted, np.ones(slot.max() + 1 + pair.max() + 1)]),
        bounds=(0, 1),
        method="highs",
    )
    return -float(found.fun)


def _extent(case: Case) -> tuple[int, int, int]:
    return len(case.demand), len(case.supply), int(case.supply.capacity.max(initial=0))


def _sums(groups: list[npt.NDArray[np.int64]], sizes: list[int]) -> csr_array:
    """Return the rows that add up variables by each grouping."""
    ends = np.cumsum(sizes)
    row = np.concatenate(
        [group + end - size for group, end, size in zip(groups, ends, sizes, strict=True)]
    )
    column = np.tile(np.arange(len(groups[0])), len(groups))
    return csr_array((np.ones(len(row)), (row, column)), shape=(int(ends[-1]), len(groups[0])))


def _case(shape: Shape, rng: np.random.Generator) -> Case:
    items, workers = rng.integers(1, shape.items + 1), rng.integers(1, shape.workers + 1)
    kinds = int(rng.integers(1, shape.kinds + 1))
    barred = np.argwhere(rng.random((items, workers)) < shape.barred)
    demand = Demand.of(
        rng.integers(0, kinds, items),
        wanted=rng.integers(0, shape.wanted + 1, items),
        skills=rng.integers(0, 1 << shape.need_bits, items),
        weight=rng.choice(shape.weights, items),
        barred=barred,
    )
    supply = Supply.of(
        _levelled(shape, rng.random(workers)) * shape.price,
        seconds=_levelled(shape, rng.random(workers)) * 10,
        queued_s=_levelled(shape, rng.random(workers)) * 20,
        capacity=rng.integers(0, shape.capacity + 1, workers),
        skills=rng.integers(0, 1 << shape.have_bits, workers),
    )
    values = Table(worth=_levelled(shape, rng.random((kinds, workers))))
    return Case(demand=demand, supply=supply, values=values)


def _levelled(shape: Shape, drawn: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.ceil(drawn * shape.levels) / shape.levels if shape.levels else drawn
