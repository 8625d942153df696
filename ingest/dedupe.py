"""Remembers what a job has seen: exactly, and in memory that hardly grows with the job."""

import numpy as np
from numba import njit

from ingest.digests import Digests
from ingest.rows import Integers
from ingest.runs import Entries, Runs

_SLOTS_FIRST = 2**11
_SLOTS_MAX = 2**19
_GROWTH = 4


class Seen:
    """Maps 128-bit digests to the line each came on first.

    The newest are in an open-addressed table of 24 bytes a slot, of which at most three in five are
    taken. As digests are of a cryptographic hash, their low bits make a fair slot and their high
    bits a fair step to the next (Knuth, TAOCP 6.4, double hashing), and equal digests are equal
    things: among n things, two different ones meet with chance n²/2¹²⁹. A table that has grown to
    `slots_max` (12 MiB) becomes a sorted run on disk (`ingest.runs`), of which some 2 bytes a
    digest stay in memory.
    """

    def __init__(self, slots_max: int = _SLOTS_MAX) -> None:
        self._slots_max = slots_max
        self._runs = Runs()
        self._entries = _free(min(_SLOTS_FIRST, slots_max))
        self._count = 0

    def first_lines(self, digests: Digests, lines: Integers) -> Integers:
        """Return the line each digest was first given with, or 0 where it is new; remember those.

        `digests` is (n, 2), `lines` (n,) and counts from 1. Of equal new digests the first is new.
        """
        found = np.zeros(len(lines), np.int64)
        step = max(self._slots_max // 8, 1)
        for first in range(0, len(lines), step):
            some = slice(first, first + step)
            self._make_room(len(lines[some]))
            self._runs.find(digests[some], found[some])
            self._count += _find_or_add(self._entries, digests[some], lines[some], found[some])
        return found

    def _make_room(self, more: int) -> None:
        slots = len(self._entries)
        while (self._count + more) * 5 > slots * 3:
            taken: Entries = self._entries[self._entries[:, 2] != 0]
            if slots < self._slots_max:
                slots = min(slots * _GROWTH, self._slots_max)
                self._entries = _free(slots)
                _add_all(self._entries, taken)
            else:
                self._runs.add(taken)
                self._entries = _free(slots)
                self._count = 0


def _free(slots: int) -> Entries:
    return np.zeros((slots, 3), np.uint64)


@njit(cache=True, nogil=True)
def _slot(entries: Entries, high: np.uint64, low: np.uint64) -> np.uint64:
    """Return the slot that holds a digest, or the free one where it belongs."""
    last, step = np.uint64(len(entries) - 1), high | np.uint64(1)
    slot = low & last
    while entries[slot, 2] and (entries[slot, 0] != high or entries[slot, 1] != low):
        slot = (slot + step) & last
    return slot


@njit(cache=True, nogil=True)
def _find_or_add(entries: Entries, digests: Digests, lines: Integers, found: Integers) -> int:
    """Fill in the lines of known digests, add those found nowhere, and return how many."""
    added = 0
    for place in range(len(digests)):
        if found[place]:
            continue
        high, low = digests[place, 0], digests[place, 1]
        slot = _slot(entries, high, low)
        found[place] = entries[slot, 2]
        if not found[place]:
            entries[slot, 0], entries[slot, 1], entries[slot, 2] = high, low, lines[place]
            added += 1
    return added


@njit(cache=True, nogil=True)
def _add_all(entries: Entries, others: Entries) -> None:
    for place in range(len(others)):
        slot = _slot(entries, others[place, 0], others[place, 1])
        entries[slot] = others[place]
