"""What a job has bought so far, and what its budget still buys."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from allocation.purse import ALIKE, Amounts, amounts
from cluster.domain.jobs import Budget
from cluster.domain.work import AnswerColumns, Partition


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Spending:
    """The answers bought within a budget; `choosy` where not any worker is welcome."""

    budget: Budget
    answers: AnswerColumns
    choosy: bool = True

    @property
    def left(self) -> Amounts:
        """How many more answers may be bought, and for how much; never less than 0."""
        budget, spent = self.budget, amounts(len(self.answers), self.answers.prices.sum())
        most = amounts(
            inf if budget.answers_max is None else budget.answers_max,
            inf if budget.cost_max is None else budget.cost_max,
        )
        return np.maximum(most - spent, 0.0)

    @property
    def is_limited(self) -> bool:
        """Whether there is a budget of answers or of money."""
        return self.budget.answers_max is not None or self.budget.cost_max is not None

    @property
    def is_over(self) -> bool:
        """Whether what is left buys no answer at the price that one is likely to have."""
        answers, money = self.left
        return bool(answers < 1.0 or money < self.price_likely * (1.0 - ALIKE))

    @property
    def price_likely(self) -> float:
        """What an answer costs that is paid for, on average; the most where any worker is welcome.

        0 where none was paid for yet. What is left over at the end of a budget is less than this.
        """
        paid = self.answers.prices[self.answers.prices > 0.0]
        if len(paid) == 0:
            return 0.0
        return float(paid.mean() if self.choosy else paid.max())

    @property
    def price_shared(self) -> float:
        """The price in which money is shared out: the highest that was paid.

        0 where nobody knows who comes: nobody was paid yet, or any worker is welcome.
        """
        return float(self.answers.prices.max(initial=0.0)) if self.choosy else 0.0

    def on(self, partitions: Sequence[Partition]) -> dict[int, Amounts]:
        """Return how many answers to each partition's items are known, and what they cost.

        By number, and in one pass over the answers; the partitions have no item in common.
        """
        ranked = sorted(partitions, key=lambda found: found.first_position)
        ends = [(found.first_position, found.first_position + found.items) for found in ranked]
        # A position has an odd number of ends at or below it where it lies within a partition.
        place = np.searchsorted(np.ravel(ends), self.answers.positions, side="right")
        cells = 2 * len(ranked) + 1
        counts = np.bincount(place, minlength=cells)[1::2]
        costs = np.bincount(place, weights=self.answers.prices, minlength=cells)[1::2]
        return {
            found.number: amounts(*bought)
            for found, *bought in zip(ranked, counts.tolist(), costs.tolist(), strict=True)
        }
