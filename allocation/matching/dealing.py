"""Which items of a class each of its workers gets, so that nobody gets an item twice.

A class's answers are laid out as cells: the first answer of every item, then the second ones, and
so on. Workers fill them one after the other, so that a worker's run of answers meets no item
twice unless it is longer than a round (R. McNaughton: Scheduling with deadlines and loss
functions, Management Science 6, 1959). Where it is longer, or an item is barred to the worker,
two cells change hands.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allocation.matching.model import Demand, Ints
from allocation.matching.problem import FREE, Problem, Solution

_TRIES = 64

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Dealt:
    """Answers to be asked for, as columns: item and worker. No pair twice and none barred."""

    item: Ints
    worker: Ints


def deal(demand: Demand, problem: Problem, solution: Solution) -> Dealt:
    """Return who gets which item; what cannot be dealt without a repeat is left out."""
    table = _Table(demand, problem)
    table.fill(problem, solution)
    wrong = table.conflicts()
    for nth in range(1, _TRIES + 1):
        if not len(wrong):
            break
        table.swap(wrong, nth)
        wrong = wrong[table.is_wrong(wrong)]
    table.worker[wrong] = FREE
    taken = table.worker != FREE
    return Dealt(item=table.item[taken], worker=table.worker[taken])


class _Table:
    """The cells of all classes, class by class, and who has each."""

    def __init__(self, demand: Demand, problem: Problem) -> None:
        rounds = int(demand.wanted.max(initial=0))
        wanting = [np.flatnonzero(demand.wanted > nth) for nth in range(rounds)]
        items = np.concatenate([np.empty(0, dtype=np.int64), *wanting])
        self.item: Ints = items[np.argsort(problem.class_of[items], kind="stable")]
        self.worker: Ints = np.full(len(self.item), FREE, dtype=np.int64)
        self._by_item = np.argsort(self.item, kind="stable")
        self._wanted = demand.wanted
        self._first = np.cumsum(demand.wanted) - demand.wanted
        self._class_of = problem.class_of
        self._units = problem.units
        self._starts = np.cumsum(problem.units) - problem.units
        self._workers = problem.net.shape[0]
        self._barred = np.sort(self._key(demand.barred[:, 0], demand.barred[:, 1]))

    def fill(self, problem: Problem, solution: Solution) -> None:
        """Lay the workers of each class into its first cells, in their order."""
        busy = np.flatnonzero(solution.held != FREE)
        order = busy[np.argsort(solution.held[busy], kind="stable")]
        held = solution.held[order].astype(np.int64)
        nth = np.arange(len(held)) - np.searchsorted(held, held)
        self.worker[self._starts[held] + nth] = problem.slots.worker[order]

    def conflicts(self) -> Ints:
        """Return the cells whose worker is barred from their item, or has it before."""
        taken = np.flatnonzero(self.worker != FREE)
        key = self._key(self.item[taken], self.worker[taken])
        order = np.argsort(key, kind="stable")
        again = np.zeros(len(key), dtype=np.bool_)
        again[order[1:]] = key[order[1:]] == key[order[:-1]]
        return taken[again | self._is_barred(key)]

    def swap(self, wrong: Ints, nth: int) -> None:
        """Let each of these cells change hands with another of its class, where that helps.

        The `nth` try looks at another cell than those before; no item is touched twice in one.
        """
        of_class = self._class_of[self.item[wrong]]
        start, units = self._starts[of_class], self._units[of_class]
        step = nth * np.maximum(1, units // _TRIES) + nth * (units > _TRIES)
        other = start + (wrong - start + step) % units
        fits = self._fits(wrong, other) & self._fits(other, wrong) & (other != wrong)
        wrong, other = wrong[fits], other[fits]
        rank = np.arange(len(wrong))
        first = np.full(len(self._class_of), len(wrong))
        for cells in (wrong, other):
            np.minimum.at(first, self.item[cells], rank)
        alone = (first[self.item[wrong]] == rank) & (first[self.item[other]] == rank)
        one, two = wrong[alone], other[alone]
        self.worker[one], self.worker[two] = self.worker[two], self.worker[one]

    def is_wrong(self, cells: Ints) -> Bools:
        """Return where the worker is barred from the item, or has another cell of it as well."""
        items, workers = self.item[cells], self.worker[cells]
        repeats = self._times(items, workers) > 1
        wrong: Bools = (workers != FREE) & (repeats | self._is_barred(self._key(items, workers)))
        return wrong

    def _fits(self, cells: Ints, givers: Ints) -> Bools:
        """Return whether the givers' workers may have the items of these cells."""
        items, workers = self.item[cells], self.worker[givers]
        has = self._times(items, workers) > 0
        fits: Bools = (workers == FREE) | ~(has | self._is_barred(self._key(items, workers)))
        return fits

    def _times(self, items: Ints, workers: Ints) -> Ints:
        """Return how many cells of each item its worker has."""
        times = np.zeros(len(items), dtype=np.int64)
        for nth in range(int(self._wanted[items].max(initial=0))):
            more = np.flatnonzero(self._wanted[items] > nth)
            cell = self._by_item[self._first[items[more]] + nth]
            times[more] += self.worker[cell] == workers[more]
        return times

    def _is_barred(self, key: Ints) -> Bools:
        at = np.searchsorted(self._barred, key)
        found = np.zeros(len(key), dtype=np.bool_)
        inside = at < len(self._barred)
        found[inside] = self._barred[at[inside]] == key[inside]
        return found

    def _key(self, items: Ints, workers: Ints) -> Ints:
        key: Ints = items * self._workers + workers
        return key
