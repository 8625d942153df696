"""One budget, in answers and in money, spent by many partitions at once.

A shard hands out no lease beyond the *end* it was last told: so many answers and leases of a
partition together, at such prices together. A lower end does not take leases back, though, and
whoever holds one may answer. So what a partition may still come to is its end, or what it has
answered and leased, if that is more; and an end may only be raised by what all the others can no
longer come to.
"""

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np
import numpy.typing as npt

from allocation.ports import PartitionReport

Amounts = npt.NDArray[np.float64]
"""How many answers, and what they cost in the currency of worker prices: (2,).

Infinite where there is no limit.
"""

ANSWERS_MAX = 2**31 - 1
"""More answers than any partition comes to."""

ALIKE = 1e-9
"""Sums of money that differ by so small a share are equal: they were added in another order."""


def amounts(answers: float, cost: float) -> Amounts:
    """Return so many answers at such a cost."""
    return np.array([answers, cost], dtype=np.float64)


NOTHING = amounts(0, 0.0)


class Purse:
    """How far each partition may go, known from what shards were told and what they reported."""

    def __init__(self) -> None:
        self._ends: dict[int, Amounts] = {}
        self._bounds: dict[int, Amounts] = {}
        self._unheeded: set[int] = set()

    def unknown(self, numbers: Sequence[int]) -> list[int]:
        """Return the partitions that may hold leases nobody has told of yet."""
        return [number for number in numbers if number not in self._bounds]

    def in_turn(self, targets: Mapping[int, Amounts]) -> list[int]:
        """Return partitions by number, those first that are to go less far than they were told."""
        return sorted(targets, key=lambda number: self._rise(number, targets[number]))

    def end(self, number: int, target: Amounts, *, seen: Amounts, total: Amounts) -> Amounts:
        """Return how far a partition may go towards a target without risk to the budget.

        `total` is the whole budget, of which this partition has spent `seen`. Partitions that are
        unknown must have been told first to lease nothing more.
        """
        others = sum((bound for other, bound in self._bounds.items() if other != number), NOTHING)
        return np.maximum(seen, np.minimum(target, _less(total, others)))

    def tell(self, number: int, end: Amounts) -> None:
        """Note that a shard is about to be told an end, whether or not it will hear of it."""
        self._ends[number] = end
        self._unheeded.add(number)
        if number in self._bounds:
            self._bounds[number] = np.maximum(self._bounds[number], end)

    def heed(self, report: PartitionReport) -> None:
        """Note how a partition stands now that its shard goes by the end it was told last."""
        self._unheeded.discard(report.partition)
        self.hear(report)

    def hear(self, report: PartitionReport) -> None:
        """Note how a partition stands; nothing where its shard may go by an older end."""
        if report.partition in self._ends and report.partition not in self._unheeded:
            reached = amounts(report.answers + report.leased, report.cost)
            self._bounds[report.partition] = np.maximum(reached, self._ends[report.partition])

    def has_room(self, targets: Mapping[int, Amounts], *, total: Amounts) -> bool:
        """Return whether a partition could be given more by now."""
        free = _less(total, sum(self._bounds.values(), NOTHING)) > ALIKE * total
        return any(
            bool((free & self._is_below(number, target, total)).any())
            for number, target in targets.items()
        )

    def is_short(self, targets: Mapping[int, Amounts], *, total: Amounts) -> bool:
        """Return whether a partition may not go as far as its target, whoever has the rest."""
        return any(
            bool(self._is_below(number, target, total).any()) for number, target in targets.items()
        )

    def _is_below(self, number: int, target: Amounts, total: Amounts) -> npt.NDArray[np.bool_]:
        limited = np.isfinite(total)
        least = ALIKE * np.where(limited, total, 0.0)
        below: npt.NDArray[np.bool_] = self._ends.get(number, NOTHING) < target - least
        return below & limited

    def _rise(self, number: int, target: Amounts) -> float:
        """Return by what share a partition's end is to rise in the unit in which it is to least."""
        end, limited = self._ends.get(number, NOTHING), np.isfinite(target)
        endless = bool(np.isinf(end[limited]).any())
        target, end = target[limited], end[limited]
        return -1.0 if endless else float(((target - end) / (target + end + 1.0)).min(initial=1.0))


def shared_out(
    weights: Mapping[int, int], left: Amounts, price: float, turn: int = 0
) -> dict[int, Amounts]:
    """Return each partition's share of what is left, in whole answers at a price.

    Shares are in proportion to the weights, by partition number; what does not divide goes to one
    partition, so that it buys something: the one of the largest weight, or at later turns the next
    ones. Where not even a price is known all the money goes there: nobody knows how small a share
    buys an answer.
    """
    weighed = sum(weights.values())
    shares = {
        number: _rounded(left, weight / weighed if weighed else 0.0, price)
        for number, weight in weights.items()
    }
    heaviest = sorted(weights, key=lambda number: -weights[number])
    heirs = [number for number in heaviest if weights[number] > 0] or heaviest
    heir = heirs[turn % len(heirs)]
    shares[heir] = shares[heir] + _less(left, sum(shares.values(), NOTHING))
    return shares


def _rounded(left: Amounts, share: float, price: float) -> Amounts:
    answers = left[0] * share // 1.0 if np.isfinite(left[0]) else inf
    if not np.isfinite(left[1]):
        return amounts(answers, inf)
    return amounts(answers, left[1] * share // price * price if price > 0.0 else 0.0)


def _less(total: Amounts, part: Amounts) -> Amounts:
    """Return what is left of a total; where it has no limit, neither has that."""
    return np.where(np.isfinite(total), total, 0.0) - np.where(np.isfinite(total), part, -inf)
