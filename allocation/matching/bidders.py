"""Who bids in the auction, and what they gain: single slots, or workers for all their slots.

Where no worker can run out of items of a class, slots may bid each for itself. Else a worker bids
for one more answer beside those they have: it goes before the less urgent ones, which then wait
longer. Such a worker is a buyer to whom goods are substitutes, for whom auctions work as well (A.
Kelso, V. Crawford: Job matching, coalition formation, and gross substitutes, Econometrica 50,
1982).
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from allocation.matching.model import Ints
from allocation.matching.problem import FREE, Held, Problem, Singles, Slots

Counts = npt.NDArray[np.uint16]


class Bidders(Protocol):
    """All bidders of a market; `held` is what each of its slots has."""

    held: Held

    def everyone(self) -> Ints:
        """Return all bidders."""
        ...

    def gains(self, bidders: Ints, prices: Singles) -> Singles:
        """Return what each bidder gains by one more answer in each class, (bidders, classes)."""
        ...

    def settle(self, bidders: Ints, classes: Ints, losers: Ints, lost: Ints) -> Ints:
        """Give each bidder a unit of a class, then take back what losers lost of others.

        No bidder comes twice. Returns who may want to bid next.
        """
        ...


class SlotBidders:
    """Each slot for itself; a bidder is a slot that holds nothing."""

    def __init__(self, problem: Problem, slots: Slots) -> None:
        self._problem, self._slots = problem, slots
        self.held: Held = np.full(len(slots), FREE, dtype=np.int32)

    def everyone(self) -> Ints:
        """See `Bidders`."""
        return np.arange(len(self.held))

    def gains(self, bidders: Ints, prices: Singles) -> Singles:
        """See `Bidders`."""
        weight = self._problem.weight
        gains: Singles = self._problem.net[self._slots.worker[bidders]]
        gains -= prices
        if weight.any():
            gains -= self._slots.wait_s[bidders, None] * weight
        return gains

    def settle(self, bidders: Ints, classes: Ints, losers: Ints, lost: Ints) -> Ints:
        """See `Bidders`."""
        del lost
        self.held[bidders] = classes
        self.held[losers] = FREE
        return losers


class WorkerBidders:
    """Each worker for all their slots, which they fill in order, the most urgent answer first."""

    def __init__(self, problem: Problem, slots: Slots, limit: Counts) -> None:
        self._problem, self._slots, self._limit = problem, slots, limit
        self._weights, self._weight_of = np.unique(problem.weight, return_inverse=True)
        ends = np.searchsorted(slots.worker, np.arange(problem.net.shape[0] + 1))
        self._starts, self._room = ends[:-1], np.diff(ends)
        self.held: Held = np.full(len(slots), FREE, dtype=np.int32)

    def everyone(self) -> Ints:
        """See `Bidders`."""
        return np.flatnonzero(self._room)

    def gains(self, bidders: Ints, prices: Singles) -> Singles:
        """See `Bidders`."""
        slot, is_slot = self._slots_of(bidders)
        has = np.where(is_slot, self.held[slot], FREE)
        gains: Singles = self._problem.net[bidders]
        gains -= prices
        gains -= self._delays(has, self._slots.wait_s[slot])[:, self._weight_of]
        gains[self._counts(has) >= self._limit[bidders]] = -np.inf
        return gains

    def settle(self, bidders: Ints, classes: Ints, losers: Ints, lost: Ints) -> Ints:
        """See `Bidders`."""
        self._change(bidders, np.full(len(bidders), FREE), classes)
        while len(losers):
            first = np.unique(losers, return_index=True)[1]
            self._change(losers[first], lost[first], np.full(len(first), FREE))
            bidders = np.concatenate([bidders, losers[first]])
            losers, lost = np.delete(losers, first), np.delete(lost, first)
        touched = np.unique(bidders)
        return touched[self._seat(touched) < self._room[touched]]

    def _slots_of(self, workers: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Return the slots of each worker, (workers, slots of whoever has most), and if they are.

        What is none is some slot or other.
        """
        nth = np.arange(int(self._room[workers].max(initial=0)))
        is_slot = nth < self._room[workers, None]
        return np.where(is_slot, self._starts[workers, None] + nth, 0), is_slot

    def _change(self, workers: Ints, before: Ints, after: Ints) -> None:
        """Put one thing for another in a slot of each worker."""
        if not len(workers):
            return
        slot, is_slot = self._slots_of(workers)
        at = (is_slot & (self.held[slot] == before[:, None])).argmax(axis=1)
        self.held[slot[np.arange(len(workers)), at]] = after

    def _seat(self, workers: Ints) -> Ints:
        """Put each worker's answers in order, free slots last, and return how many they have."""
        slot, is_slot = self._slots_of(workers)
        has = np.where(is_slot, self.held[slot], FREE)
        urgency = np.where(has == FREE, -1.0, self._problem.weight[has])
        urgency[~is_slot] = -2.0
        has = np.take_along_axis(has, np.argsort(-urgency, axis=1, kind="stable"), axis=1)
        self.held[slot[is_slot]] = has[is_slot]
        load: Ints = (has != FREE).sum(axis=1)
        return load

    def _delays(self, has: Held, wait_s: Singles) -> Singles:
        """Return the cost of the wait that one more answer of each weight brings, its own too."""
        weight = np.where(has == FREE, 0.0, self._problem.weight[has]).astype(np.float32)
        push = np.zeros((len(has), has.shape[1] + 1), dtype=np.float32)
        push[:, :-2] = weight[:, :-1] * np.diff(wait_s, axis=1)
        push = push[:, ::-1].cumsum(axis=1, dtype=np.float32)[:, ::-1]
        cost = np.empty((len(has), len(self._weights)), dtype=np.float32)
        rows = np.arange(len(has))
        for index, each in enumerate(self._weights):
            place = ((has != FREE) & (weight >= each)).sum(axis=1)
            cost[:, index] = each * wait_s[rows, place] + push[rows, place]
        return cost

    def _counts(self, has: Held) -> Counts:
        counts = np.zeros((len(has), len(self._problem.units)), dtype=np.uint16)
        for column in has.T:
            rows = np.flatnonzero(column != FREE)
            counts[rows, column[rows]] += 1
        return counts
