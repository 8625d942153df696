"""One budget of answers, spent by many partitions at once.

A shard hands out no lease beyond the *end* it was last told: so many answers and leases of a
partition together. A lower end does not take leases back, though, and whoever holds one may answer.
So what a partition may still come to is its end, or what it has answered and leased, if that is
more; and an end may only be raised by what all the others can no longer come to.
"""

from collections.abc import Mapping, Sequence

from allocation.ports import PartitionReport
from cluster.domain.jobs import Budget
from cluster.domain.work import AnswerColumns, Partition

UNLIMITED = 2**31 - 1
"""How many answers a job without a budget may buy."""


def left_of(budget: Budget, answers: AnswerColumns) -> int:
    """Return how many more answers a budget buys, each at the highest price paid."""
    left = UNLIMITED
    if budget.answers_max is not None:
        left = min(left, budget.answers_max - len(answers))
    if budget.cost_max is not None and answers.prices.sum() > 0:
        unspent = budget.cost_max - float(answers.prices.sum())
        left = min(left, int(unspent / float(answers.prices.max())))
    return max(left, 0)


class Purse:
    """How far each partition may go, known from what shards were told and what they reported."""

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}
        self._bounds: dict[int, int] = {}
        self._unheeded: set[int] = set()

    def unknown(self, numbers: Sequence[int]) -> list[int]:
        """Return the partitions that may hold leases nobody has told of yet."""
        return [number for number in numbers if number not in self._bounds]

    def in_turn(self, targets: Mapping[int, int]) -> list[int]:
        """Return partitions by number, those first that are to go less far than they were told."""
        return sorted(targets, key=lambda number: targets[number] - self._ends.get(number, 0))

    def end(self, number: int, target: int, *, seen: int, total: int) -> int:
        """Return how far a partition may go towards a target without risk to the budget.

        `total` is the budget in answers, of which this partition has spent `seen`. Partitions
        that are unknown must have been told first to lease nothing more.
        """
        others = sum(bound for other, bound in self._bounds.items() if other != number)
        return max(seen, min(target, total - others))

    def tell(self, number: int, end: int) -> None:
        """Note that a shard is about to be told an end, whether or not it will hear of it."""
        self._ends[number] = end
        self._unheeded.add(number)
        if number in self._bounds:
            self._bounds[number] = max(self._bounds[number], end)

    def heed(self, report: PartitionReport) -> None:
        """Note how a partition stands now that its shard goes by the end it was told last."""
        self._unheeded.discard(report.partition)
        self.hear(report)

    def hear(self, report: PartitionReport) -> None:
        """Note how a partition stands; nothing where its shard may go by an older end."""
        if report.partition in self._ends and report.partition not in self._unheeded:
            reached = report.answers + report.leased
            self._bounds[report.partition] = max(reached, self._ends[report.partition])

    def has_room(self, targets: Mapping[int, int], *, total: int) -> bool:
        """Return whether a partition could be given more by now."""
        room = sum(self._bounds.values()) < total
        return room and any(self._ends.get(number, 0) < end for number, end in targets.items())


def shared_out(
    partitions: Sequence[Partition], seen: Mapping[int, int], left: int
) -> dict[int, int]:
    """Return the end of each partition where what is left is shared out by their items."""
    items = sum(partition.items for partition in partitions)
    shares = {found.number: left * found.items // items for found in partitions}
    shares[partitions[0].number] += left - sum(shares.values())
    return {number: seen[number] + share for number, share in shares.items()}
