"""A draw without replacement in which some items were likelier to come next than others.

Each draw takes one of the items left, with a probability in proportion to its weight. A value of
the item drawn, divided by that probability, tells of the mean of all items without bias: D. G.
Horvitz, D. J. Thompson, JASA 47, 1952. The items of any part of the population, in the order they
came, are drawn in this very way from that part.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from allocation.quality.votes import Codes, Floats


class Odds(NamedTuple):
    """What each draw tells of the mean, by the class it may come from, (n, classes).

    `left` counts the items a class had left before the draw, and each of these speaks for
    `speaks_for` items. `factor` is what a value of the class counts for in the mean, and `spread`
    its square times the probability of the class.
    """

    left: Floats
    speaks_for: Floats
    factor: Floats
    spread: Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Drawing:
    """Items in the order they were drawn, and the classes of equal weight they were drawn from.

    `rows` (n,) are items, each once; `classes` (items,) their classes and `weights` (classes,)
    those of one item of each class, above 0.
    """

    rows: Codes
    classes: Codes
    weights: Floats

    @classmethod
    def of(cls, rows: Codes, weights: Floats) -> Self:
        """Return what was drawn from items with these weights, (items,)."""
        levels, classes = np.unique(weights, return_inverse=True)
        return cls(rows=rows, classes=classes.astype(np.int64), weights=levels)

    @property
    def sizes(self) -> Floats:
        """How many items each class has, (classes,)."""
        return self.sums(np.ones(len(self.classes)))

    @property
    def drawn(self) -> Codes:
        """The classes of the items drawn, (n,)."""
        return self.classes[self.rows]

    def sums(self, values: Floats) -> Floats:
        """Return the sum over each class of values (items,)."""
        found = np.bincount(self.classes, weights=values, minlength=len(self.weights))
        return found.astype(np.float64)

    def sums_left(self, values: Floats) -> Floats:
        """Return the sum over what each class had left before each draw, (n, classes)."""
        taken = np.zeros((len(self.rows), len(self.weights)))
        taken[np.arange(len(self.rows)), self.drawn] = values[self.rows]
        before: Floats = taken.cumsum(axis=0) - taken
        return self.sums(values) - before

    def odds(self, *, exact: bool) -> Odds:
        """Return what each draw tells.

        Where `exact`, of the items left, as the values of all others are known. Else of all items,
        those left speaking for their whole class; a class that is used up counts for nothing.
        """
        items, sizes = max(len(self.classes), 1), self.sizes
        left = np.rint(self.sums_left(np.ones(len(self.classes))))
        share = sizes / np.maximum(left, 1.0)
        speaks_for = np.where(left > 0.0, 1.0 if exact else share, 0.0)
        mass = (left * self.weights).sum(axis=1, keepdims=True)
        factor = speaks_for * mass / (items * self.weights)
        return Odds(left, speaks_for, factor, left * speaks_for * factor / items)
