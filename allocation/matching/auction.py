"""The matching solved nearly, for sizes no linear program reaches: slots bid for units of classes.

A forward and reverse auction (D. P. Bertsekas, D. A. Castanon: A forward/reverse auction algorithm
for asymmetric assignment problems, Computational Optimization and Applications 1, 1992) over like
objects (the same: The auction algorithm for the transportation problem, Annals of Operations
Research 20, 1989). Forward, every slot bids on its best class by as much as that is better than
its second best, plus epsilon, and a class keeps its highest bids. Reverse, a class with units left
and a price above nothing lowers its price until enough slots come over. At the end no slot could
gain more than epsilon elsewhere, so that the result is within epsilon times the answers of the
optimum.

Prices are first found roughly on a sample of the slots, with units in proportion, then on larger
samples with a smaller epsilon: a hundred thousand workers have nearly the prices of a thousand of
them (S. Agrawal, Z. Wang, Y. Ye: A dynamic near-optimal algorithm for online linear programming,
Operations Research 62, 2014).
"""

from collections.abc import Iterator

import numpy as np

from allocation.matching.bidders import Bidders, SlotBidders, WorkerBidders
from allocation.matching.model import Ints
from allocation.matching.problem import (
    FREE,
    Held,
    Problem,
    Singles,
    Slots,
    Solution,
    blocks,
    seated,
)

_LEVELS = 4
_FINER = 4
_SAMPLE_MIN = 4_096
_ROUNDS_MAX = 2_000
_GOLDEN = np.uint32(2_654_435_769)


def solve(problem: Problem, *, tolerance: float = 1e-3) -> Solution:
    """Return a matching and prices; epsilon is `tolerance` times what a slot gains on average."""
    scale = _mean_gain(problem)
    prices = np.zeros(len(problem.units), dtype=np.float32)
    market = _Market(problem, problem.slots, problem.units, prices)
    for level in reversed(range(_LEVELS)):
        epsilon = np.float32(tolerance * scale * _FINER**level)
        # Bidding a price up costs less than bringing it down, so each level starts below.
        start = np.maximum(market.prices - 2 * _FINER * epsilon, np.float32(0.0))
        market = _sample(problem, start, _FINER**level)
        market.forward(epsilon)
        market.reverse(epsilon, tolerance)
    market.fill()
    busy = np.flatnonzero(market.held != FREE)
    held = seated(problem, problem.slots.worker[busy], market.held[busy].astype(np.int64))
    return Solution(held=held, prices=market.prices)


def _mean_gain(problem: Problem) -> float:
    best = np.maximum(problem.net.max(axis=1, initial=0.0), 0.0)
    slots = problem.slots.worker
    return float(best[slots].mean(dtype=np.float64)) if len(slots) else 0.0


def _sample(problem: Problem, prices: Singles, stride: int) -> "_Market":
    """Return the market of one slot in `stride`, spread evenly by a Weyl sequence."""
    slots, units = problem.slots, problem.units
    fewer = np.maximum(np.rint(units / stride), units > 0).astype(np.int64)
    skewed = fewer.sum() * stride > 1.25 * units.sum()
    if stride == 1 or skewed or len(slots) < stride * _SAMPLE_MIN:
        return _Market(problem, slots, units, prices)
    place = np.arange(len(slots), dtype=np.uint32) * _GOLDEN
    kept = np.flatnonzero(place < (1 << 32) // stride)
    sample = Slots(worker=slots.worker[kept], wait_s=slots.wait_s[kept])
    return _Market(problem, sample, fewer, prices)


class _Market:
    """Bidders, units, prices, and who holds what."""

    def __init__(self, problem: Problem, slots: Slots, units: Ints, prices: Singles) -> None:
        self._problem, self._slots, self._units = problem, slots, units
        self.prices = prices.copy()
        self._bidders: Bidders = (
            SlotBidders(problem, slots)
            if problem.limit is None
            else WorkerBidders(problem, slots, problem.limit)
        )

    @property
    def held(self) -> Held:
        """What each slot has."""
        return self._bidders.held

    def forward(self, epsilon: np.float32) -> None:
        """Let bidders bid until none gains anything; at most `_ROUNDS_MAX` rounds."""
        holders = _Holders(self._units)
        active = self._bidders.everyone()
        for _ in range(_ROUNDS_MAX):
            if not len(active):
                break
            bidders, classes, bids = self._bids(active, epsilon)
            losers, lost = [bidders[:0]], [classes[:0]]
            for of_class, chosen in _groups(classes):
                losers.append(holders.offer(of_class, bidders[chosen], bids[chosen]))
                lost.append(np.full(len(losers[-1]), of_class))
                self.prices[of_class] = max(self.prices[of_class], holders.price(of_class))
            active = self._bidders.settle(
                bidders, classes, np.concatenate(losers), np.concatenate(lost)
            )

    def reverse(self, epsilon: np.float32, tolerance: float) -> None:
        """Let classes with units left lower their prices, the dearest waste first.

        It ends when that waste is no more than `tolerance` of what is matched, or after
        `_ROUNDS_MAX` steps.
        """
        gross = self._gross_held()
        for _ in range(_ROUNDS_MAX):
            left = self._left()
            waste = left * self.prices
            if waste.sum() <= tolerance * gross.sum(dtype=np.float64):
                break
            of_class = int(waste.argmax())
            self._lower(of_class, int(left[of_class]), gross, epsilon)

    def fill(self) -> None:
        """Give units that still have a price to free slots that are worth anything to them."""
        left = self._left()
        for of_class in np.flatnonzero(left * self.prices > 0).tolist():
            gross = np.where(self.held == FREE, self._gross_of(of_class), -np.inf)
            self._forbid(gross, of_class)
            fit = np.flatnonzero(gross > 0)
            if len(fit) > left[of_class]:
                fit = fit[np.argpartition(-gross[fit], left[of_class])[: left[of_class]]]
            self.held[fit] = of_class

    def _lower(self, of_class: int, left: int, held: Singles, epsilon: np.float32) -> None:
        """Bring the `left` slots over that gain most, or fewer at no price at all.

        `held` is what each slot's present answer is worth, and is kept so.
        """
        own = np.where(self.held == FREE, 0.0, held - self.prices[self.held])
        gross = self._gross_of(of_class)
        offer = (gross - np.maximum(own, 0.0)).astype(np.float32)
        offer[self.held == of_class] = -np.inf
        self._forbid(offer, of_class)
        fit = np.flatnonzero(offer > 0)
        price = np.float32(0.0)
        if len(fit) > left:
            order = np.argpartition(-offer[fit], left)
            price = max(price, offer[fit[order[left]]] - epsilon)
            fit = fit[order[:left]]
        self.prices[of_class] = min(price, self.prices[of_class])
        self.held[fit] = of_class
        held[fit] = gross[fit]

    def _left(self) -> Ints:
        """Return how many units of each class nobody holds."""
        held = self.held[self.held != FREE]
        left: Ints = self._units - np.bincount(held, minlength=len(self._units))
        return left

    def _gross_held(self) -> Singles:
        """Return what each slot's answer is worth before its price; 0 where it has none."""
        busy = np.flatnonzero(self.held != FREE)
        held, gross = self.held[busy], np.zeros(len(self.held), dtype=np.float32)
        net = self._problem.net[self._slots.worker[busy], held]
        gross[busy] = net - self._slots.wait_s[busy] * self._problem.weight[held]
        return gross

    def _gross_of(self, of_class: int) -> Singles:
        """Return what a class's answer is worth in each slot, before its price."""
        net, wait_s = self._problem.net[:, of_class], self._slots.wait_s
        gross: Singles = net[self._slots.worker] - wait_s * self._problem.weight[of_class]
        return gross

    def _forbid(self, offer: Singles, of_class: int) -> None:
        """Leave each worker one offer at most, and none who has all they may have of the class."""
        if self._problem.limit is None:
            return
        worker = self._slots.worker
        workers = self._problem.net.shape[0]
        count = np.bincount(worker[self.held == of_class], minlength=workers)
        offer[(count >= self._problem.limit[:, of_class])[worker]] = -np.inf
        order = np.lexsort((-offer, worker))
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = worker[order[1:]] != worker[order[:-1]]
        offer[order[~first]] = -np.inf

    def _bids(self, active: Ints, epsilon: np.float32) -> tuple[Ints, Ints, Singles]:
        """Return who gains by any class, their best one, and what they bid for it."""
        bidders, classes, bids = [active[:0]], [active[:0]], [self.prices[:0]]
        for block in blocks(len(active), len(self._units)):
            gains = self._bidders.gains(active[block], self.prices)
            rows = np.arange(len(gains))
            best = gains.argmax(axis=1)
            gain = gains[rows, best]
            gains[rows, best] = -np.inf
            keen = np.flatnonzero(gain > 0)
            margin = gain[keen] - np.maximum(gains[keen].max(axis=1), 0.0)
            bidders.append(active[block][keen])
            classes.append(best[keen])
            bids.append(self.prices[best[keen]] + margin + epsilon)
        return np.concatenate(bidders), np.concatenate(classes), np.concatenate(bids)


class _Holders:
    """Who holds the units of each class, and what they bid for them."""

    def __init__(self, units: Ints) -> None:
        self._units = units.tolist()
        self._slots: list[Ints] = [np.empty(0, dtype=np.int64)] * len(units)
        self._bids: list[Singles] = [np.empty(0, dtype=np.float32)] * len(units)

    def offer(self, of_class: int, slots: Ints, bids: Singles) -> Ints:
        """Give a class's units to the highest bids, and return the slots that have none."""
        slots = np.concatenate([self._slots[of_class], slots])
        bids = np.concatenate([self._bids[of_class], bids])
        units, lost = self._units[of_class], slots[:0]
        if len(slots) > units:
            order = np.argpartition(-bids, units)
            kept, lost = order[:units], slots[order[units:]]
            slots, bids = slots[kept], bids[kept]
        self._slots[of_class], self._bids[of_class] = slots, bids
        return lost

    def price(self, of_class: int) -> np.float32:
        """Return the lowest bid that holds a unit; 0 while there are units left."""
        if len(self._slots[of_class]) < self._units[of_class]:
            return np.float32(0.0)
        return np.float32(self._bids[of_class].min(initial=np.inf))


def _groups(classes: Ints) -> Iterator[tuple[int, Ints]]:
    """Yield each class that occurs, and where."""
    order = np.argsort(classes, kind="stable")
    found, starts = np.unique(classes[order], return_index=True)
    ends = [*starts[1:].tolist(), len(order)]
    for of_class, start, end in zip(found.tolist(), starts.tolist(), ends, strict=False):
        yield of_class, order[start:end]
