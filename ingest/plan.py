"""How accepted items are cut into chunks: the same way every time."""

from collections.abc import Iterator

import numpy as np

from ingest.rows import Integers

_GROWTH = 16
"""A chunk may hold a 16th of what came before it, and at most 16 times what a first one may."""

_GROWN = 16


def rows_max_at(position: int, rows_first: int) -> int:
    """Return how many rows a chunk may hold that begins at a position.

    Few at first, so that a small job keeps many model replicas busy; more later on, so that a large
    job does not drown in small objects.
    """
    return max(rows_first, min(position // _GROWTH, rows_first * _GROWN))


class ChunkPlan:
    """Says where chunks end, given the sizes of items as they arrive.

    A chunk takes as many rows and as many bytes of content as its bounds allow; an item that is
    over `bytes_max` by itself makes a chunk of one. A chunk ends when an item arrives that is not
    of it any more.
    """

    def __init__(self, rows_first: int, bytes_max: int, position: int = 0) -> None:
        self._rows_first, self._bytes_max, self._position = rows_first, bytes_max, position
        self._rows = self._bytes = 0

    def ends(self, sizes: Integers) -> Iterator[int]:
        """Yield those of some more items before which a chunk ends."""
        totals = np.concatenate([[0], np.cumsum(sizes)])
        taken = 0
        while True:
            rows_left = rows_max_at(self._position, self._rows_first) - self._rows
            room = totals[taken] + self._bytes_max - self._bytes
            fit = int(np.searchsorted(totals, room, side="right")) - 1 - taken
            if not self._rows:
                fit = max(fit, 1)
            fit = min(max(fit, 0), rows_left)
            if taken + fit >= len(sizes):
                self._rows += len(sizes) - taken
                self._bytes += int(totals[-1] - totals[taken])
                return
            taken += fit
            self._position += self._rows + fit
            self._rows = self._bytes = 0
            yield taken
