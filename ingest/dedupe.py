"""Remembers what a job has seen, at a bounded number of bytes an item."""

from array import array

_SLOTS_FIRST = 1_024


class Seen:
    """Maps 128-bit digests to the line each came on first.

    An open-addressed table in flat arrays: 24 bytes a slot, at most three slots in four taken, so
    32 to 64 bytes an entry (and half as much again for the moment in which it grows). As digests
    are of a cryptographic hash, their low bits are a fair slot and equal digests are equal things:
    among n of them, two different things collide with a chance of n²/2¹²⁹.
    """

    def __init__(self) -> None:
        self._count = 0
        self._allocate(_SLOTS_FIRST)

    def __len__(self) -> int:
        return self._count

    def first_line(self, digest: bytes, line: int) -> int | None:
        """Return the line a digest of 16 bytes was first given with, or None and remember it.

        Lines count from 1.
        """
        high, low = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
        slot = self._slot(high, low)
        if self._lines[slot]:
            return self._lines[slot]
        self._highs[slot], self._lows[slot], self._lines[slot] = high, low, line
        self._count += 1
        if self._count * 4 > self._slots * 3:
            self._grow()
        return None

    def _slot(self, high: int, low: int) -> int:
        """Return the slot that holds a digest, or the free one where it belongs."""
        last = self._slots - 1
        slot = low & last
        while self._lines[slot] and (self._lows[slot] != low or self._highs[slot] != high):
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        entries = zip(self._highs, self._lows, self._lines, strict=True)
        self._allocate(self._slots * 2)
        for high, low, line in entries:
            if line:
                slot = self._slot(high, low)
                self._highs[slot], self._lows[slot], self._lines[slot] = high, low, line

    def _allocate(self, slots: int) -> None:
        self._slots = slots
        self._highs, self._lows = array("Q", [0]) * slots, array("Q", [0]) * slots
        self._lines = array("Q", [0]) * slots
