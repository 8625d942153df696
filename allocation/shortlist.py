"""The most uncertain open items of a partition, so that a claim need not look at all of them.

An approximation in three steps, and its bounds. The *pool* holds `pool_items` open items of large
expected error, plus those that came free since it was made. Its first `window` items are the most
uncertain of the pool when it was last ranked, at most `window` grants ago; a claim weighs about
`window` of those open to its worker, from the front. So a question is missed only because others
were more uncertain a moment ago. The value of a question rises with the uncertainty of its item
for any worker better than chance, though not in exactly the same order for all.

The first pool is exact. The next ones are gathered while the present one is used up, a stretch of
items at a time so that nobody waits for a look at all of them: of every stretch the most
uncertain, four times its share of a pool. So an item is missed only where its stretch has so many
that are more uncertain. A pool of all open items is complete and stays so, because an item can
only become open again by coming free.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from allocation.policy import Floats
from allocation.tables import Bools, Ints

TIE = np.float32(1e-3)
"""Values closer than this share of the largest count as equal."""


_SHARES = 4
_STRETCH_MIN = 8_192


class Shortlist:
    """Candidates for the next questions, as local positions, each once."""

    def __init__(self, pool: Ints, *, items: int, window: int, complete: bool) -> None:
        self._pool = pool
        self._listed: Bools = np.zeros(items, dtype=np.bool_)
        self._listed[pool] = True
        self._freed: Ints = np.empty(0, dtype=np.int32)
        self._grants_until_worn = max(1, len(pool) // 4)
        self._grants_until_unranked = window
        self._gathered: list[Ints] = []
        self._gathered_to = 0
        self.window = window
        self.complete = complete

    @classmethod
    def empty(cls) -> "Shortlist":
        """Return the list of a partition with nothing to ask."""
        return cls(np.empty(0, dtype=np.int32), items=0, window=4, complete=True)

    @classmethod
    def of(
        cls, error: Floats, is_open: Bools, *, pool_items: int, window: int, key: int
    ) -> "Shortlist":
        """Return the open items of largest error; those that tie are drawn by a keyed hash."""
        found = np.flatnonzero(is_open).astype(np.int32)
        complete = len(found) <= pool_items
        kept = largest(error[found], keyed_unit(found, key), pool_items)
        return cls(found[kept], items=len(error), window=window, complete=complete)

    @property
    def worn(self) -> bool:
        """Whether the pool should be made again; grants do not wear out a complete one."""
        return self._grants_until_worn <= 0 and not self.complete

    @property
    def unranked(self) -> bool:
        """Whether the pool should be ranked again."""
        return self._grants_until_unranked <= 0 or len(self._freed) > 4 * self.window

    @property
    def nbytes(self) -> int:
        """How much memory the list takes."""
        return self._pool.nbytes + self._listed.nbytes + self._freed.nbytes

    def blocks(self) -> Iterator[Ints]:
        """Yield the candidates from the front, in blocks of growing size; some are not open."""
        if len(self._freed):
            yield self._freed
        start, size = 0, self.window
        while start < len(self._pool):
            yield self._pool[start : start + size]
            start, size = start + size, 2 * size

    def everything(self) -> Ints:
        """Return every candidate."""
        return np.concatenate([self._pool, self._freed])

    def granted(self, count: int) -> None:
        """Note that questions were asked."""
        self._grants_until_worn -= count
        self._grants_until_unranked -= count

    def freed(self, positions: Ints) -> None:
        """Note that items came free."""
        new = np.unique(positions[~self._listed[positions]])
        self._listed[new] = True
        self._freed = np.concatenate([self._freed, new])

    def rank(self, error: Floats, is_open: Bools, key: int) -> None:
        """Bring the most uncertain to the front, given error and openness of `everything`."""
        items = self.everything()
        score = np.where(is_open, error, np.float32(-1.0))
        front = largest(score, keyed_unit(items, key), 4 * self.window)
        rest = np.ones(len(items), dtype=np.bool_)
        rest[front] = False
        self._pool = np.concatenate([items[front], items[rest]])
        self._freed = self._freed[:0]
        self._grants_until_unranked = self.window

    def stretch(self) -> slice | None:
        """Return which items to `gather` from next; None while there is no need."""
        items = len(self._listed)
        used = 1.0 - self._grants_until_worn / max(1, len(self._pool) // 4)
        due = min(items, int(items * used) + _STRETCH_MIN)
        if self.complete or (due < items and due - self._gathered_to < _STRETCH_MIN):
            return None
        return slice(self._gathered_to, due) if due > self._gathered_to else None

    def gather(self, stretch: slice, error: Floats, is_open: Bools, key: int) -> None:
        """Keep the most uncertain open items of a stretch for the next pool."""
        found = np.flatnonzero(is_open).astype(np.int32)
        share = len(error) * len(self._pool) / max(1, len(self._listed))
        ties = keyed_unit(found + np.int32(stretch.start), key)
        kept = found[largest(error[found], ties, max(1, round(_SHARES * share)))]
        self._gathered.append(kept + np.int32(stretch.start))
        self._gathered_to = stretch.stop

    def gathered(self) -> Ints | None:
        """Return what was kept for the next pool; None where that is not enough for one."""
        if self._gathered_to < len(self._listed):
            return None
        found = np.sort(np.concatenate([*self._gathered, self._freed]))
        found = found[np.diff(found, prepend=-1) > 0]  # np.unique takes ten times as long
        return found if len(found) > len(self._pool) else None

    def next(self, found: Ints, error: Floats, is_open: Bools, key: int) -> "Shortlist | None":
        """Return the next list, given error and openness of what was gathered.

        None where too few are open still: then only a look at all items can tell.
        """
        chosen, size = found[is_open], len(self._pool)
        if len(chosen) < size:
            return None
        kept = chosen[largest(error[is_open], keyed_unit(chosen, key), size)]
        return Shortlist(kept, items=len(self._listed), window=self.window, complete=False)


def largest(values: Floats, ties: Floats, count: int) -> npt.NDArray[np.intp]:
    """Return the indices of the `count` largest values, largest first.

    Values closer than a thousandth of the largest count as equal and go by `ties` in [0, 1).
    """
    if not len(values) or count <= 0:
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
