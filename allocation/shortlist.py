"""The most uncertain open items of a partition, so that a claim need not look at all of them.

An approximation in two steps, and its bounds. The *pool* holds the `pool_items` open items of
largest expected error when it was made, plus those that came free since; it is made again after
a quarter as many grants. Its first `window` items are the most uncertain of the pool when it was
last ranked, at most `window / 4` grants ago; a claim weighs about `window` of those open to its
worker, from the front. So a question is missed only because others were more uncertain a moment
ago. The value of a question rises with the uncertainty of its item for any worker better than
chance, though not in exactly the same order for all.

A pool of all open items is complete and stays so, because an item can only become open again by
coming free.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from allocation.policy import Floats
from allocation.tables import Bools, Ints

TIE = np.float32(1e-3)
"""Values closer than this share of the largest count as equal."""


class Shortlist:
    """Candidates for the next questions, as local positions, each once."""

    def __init__(self, pool: Ints, *, window: int, complete: bool) -> None:
        self._pool = pool
        self._known = set(pool.tolist())
        self._freed: list[int] = []
        self._grants_until_worn = max(1, len(pool) // 4)
        self._grants_until_unranked = window // 4
        self.window = window
        self.complete = complete

    @classmethod
    def empty(cls) -> "Shortlist":
        """Return the list of a partition with nothing to ask."""
        return cls(np.empty(0, dtype=np.int32), window=4, complete=True)

    @classmethod
    def of(
        cls, error: Floats, is_open: Bools, *, pool_items: int, window: int, key: int
    ) -> "Shortlist":
        """Return the open items of largest error; those that tie are drawn by a keyed hash."""
        found = np.flatnonzero(is_open).astype(np.int32)
        complete = len(found) <= pool_items
        kept = largest(error[found], keyed_unit(found, key), pool_items)
        return cls(found[kept], window=window, complete=complete)

    @property
    def worn(self) -> bool:
        """Whether the pool should be made again; grants do not wear out a complete one."""
        used_up = self._grants_until_worn <= 0 and not self.complete
        return used_up or len(self._freed) > 4 * self.window

    @property
    def unranked(self) -> bool:
        """Whether the pool should be ranked again."""
        return self._grants_until_unranked <= 0

    def blocks(self) -> Iterator[Ints]:
        """Yield the candidates from the front, in blocks of growing size; some are not open."""
        if self._freed:
            yield np.array(self._freed, dtype=np.int32)
        start, size = 0, self.window
        while start < len(self._pool):
            yield self._pool[start : start + size]
            start, size = start + size, 2 * size

    def everything(self) -> Ints:
        """Return every candidate."""
        return np.concatenate([self._pool, np.array(self._freed, dtype=np.int32)])

    def granted(self, count: int) -> None:
        """Note that questions were asked."""
        self._grants_until_worn -= count
        self._grants_until_unranked -= count

    def freed(self, positions: Ints) -> None:
        """Note that items came free."""
        new = set(positions.tolist()) - self._known
        self._known |= new
        self._freed += sorted(new)

    def rank(self, error: Floats, is_open: Bools, key: int) -> None:
        """Bring the most uncertain to the front, given error and openness of `everything`."""
        items = self.everything()
        score = np.where(is_open, error, np.float32(-1.0))
        front = largest(score, keyed_unit(items, key), 4 * self.window)
        rest = np.ones(len(items), dtype=np.bool_)
        rest[front] = False
        self._pool = np.concatenate([items[front], items[rest]])
        self._freed.clear()
        self._grants_until_unranked = self.window // 4


def largest(values: Floats, ties: Floats, count: int) -> npt.NDArray[np.intp]:
    """Return the indices of the `count` largest values, largest first.

    Values closer than a thousandth of the largest count as equal and go by `ties` in [0, 1).
    """
    if not len(values):
        return np.empty(0, dtype=np.intp)
    score = values + ties * (TIE * np.maximum(values.max(), TIE))
    if count >= len(score):
        return np.argsort(-score, kind="stable")
    kept = np.argpartition(score, len(score) - count)[len(score) - count :]
    return kept[np.argsort(-score[kept], kind="stable")]


def keyed_unit(positions: Ints, key: int) -> Floats:
    """Return a number in [0, 1) for each position that looks random and depends on the key alone.

    The finaliser of MurmurHash3 (Appleby 2011).
    """
    mixed = positions.astype(np.uint32) ^ np.uint32((key ^ (key >> 32)) & 0xFFFFFFFF)
    mixed = (mixed ^ (mixed >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    unit: Floats = (mixed >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    return unit
