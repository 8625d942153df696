"""The most uncertain open items of a partition, so that a claim need not look at all of them.

An approximation, and its bounds: the list holds the `size` open items of largest expected error
when it was made, plus every item that came free since. It is made again after `size / 4` grants
or `size` items that came free, so it can miss an item only because others were more uncertain
a moment ago. The value of a question rises with the uncertainty of its item for any worker better
than chance, but not in exactly the same order for all. A list of all open items is complete and
stays so, because an item can only become open again by coming free.
"""

import numpy as np
import numpy.typing as npt

from allocation.policy import Floats
from allocation.tables import Bools, Ints

_TIE = 1e-6


class Shortlist:
    """Candidates for the next questions, as local positions."""

    def __init__(self, items: Ints, size: int, *, complete: bool) -> None:
        self._items = items
        self._freed: list[int] = []
        self._grants_left = max(1, size // 4)
        self._freed_max = size
        self.complete = complete

    @classmethod
    def empty(cls) -> "Shortlist":
        """Return the list of a partition with nothing to ask."""
        return cls(np.empty(0, dtype=np.int32), 1, complete=True)

    @classmethod
    def of(cls, error: Floats, is_open: Bools, size: int, key: int) -> "Shortlist":
        """Return the open items of largest error; those that tie are drawn by a keyed hash."""
        found = np.flatnonzero(is_open).astype(np.int32)
        complete = len(found) <= size
        if not complete:
            found = found[largest(error[found], keyed_unit(found, key), size)]
        return cls(found, size, complete=complete)

    @property
    def stale(self) -> bool:
        """Whether the list should be made again."""
        return self._grants_left <= 0 or len(self._freed) > self._freed_max

    def candidates(self) -> Ints:
        """Return the items on the list, each once; some may no longer be open."""
        if not self._freed:
            return self._items
        freed = np.array(self._freed, dtype=np.int32)
        return np.unique(np.concatenate([self._items, freed]))

    def granted(self) -> None:
        """Note that a question was asked."""
        self._grants_left -= 1

    def freed(self, position: int) -> None:
        """Note that an item came free."""
        self._freed.append(position)


def largest(values: Floats, ties: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.intp]:
    """Return the indices of the `count` largest values, largest first.

    Values closer than a millionth of the largest count as equal and go by `ties` in [0, 1).
    """
    if not len(values):
        return np.empty(0, dtype=np.intp)
    score = values.astype(np.float64) + ties * (_TIE * max(float(values.max()), _TIE))
    if count < len(score):
        kept = np.argpartition(score, len(score) - count)[len(score) - count :]
    else:
        kept = np.arange(len(score))
    return kept[np.argsort(-score[kept], kind="stable")]


def keyed_unit(positions: Ints, key: int) -> npt.NDArray[np.float64]:
    """Return a number in [0, 1) for each position that looks random and depends on the key alone.

    The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
    """
    mixed = (positions.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed += np.uint64(key & 0xFFFFFFFFFFFFFFFF)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    unit: npt.NDArray[np.float64] = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return unit
