"""Remembers what a job has seen, at a bounded number of bytes an item."""

from array import array
from struct import Struct

_SLOTS_FIRST = 1_024
_split = Struct(">QQ").unpack


class Seen:
    """Maps 128-bit digests to the line each came on first.

    An open-addressed table in flat arrays: 24 bytes a slot, of which at most three in five are
    taken, so 40 to 80 bytes a digest (a dictionary takes 150), and half as much again for the
    moment in which the table grows. As digests are of a cryptographic hash, their low bits make a
    fair slot and their high bits a fair step to the next (Knuth, TAOCP 6.4, double hashing), and
    equal digests are equal things: among n things, two different ones meet with chance n²/2¹²⁹.
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
        high, low = _split(digest)
        slot = self._slot(high, low)
        if self._lines[slot]:
            return self._lines[slot]
        self._highs[slot], self._lows[slot], self._lines[slot] = high, low, line
        self._count += 1
        if self._count * 5 > self._slots * 3:
            self._grow()
        return None

    def _slot(self, high: int, low: int) -> int:
        """Return the slot that holds a digest, or the free one where it belongs."""
        lines, highs = self._lines, self._highs
        last, step = self._slots - 1, high | 1
        slot = low & last
        while lines[slot] and (highs[slot] != high or self._lows[slot] != low):
            slot = (slot + step) & last
        return slot

    def _grow(self) -> None:
        entries = zip(self._highs, self._lows, self._lines, strict=True)
        self._allocate(self._slots * 2)
        for high, low, line in entries:
            if line:
                slot = self._slot(high, low)
                self._highs[slot], self._lows[slot], self._lines[slot] = high, low, line

    def _allocate(self, slots: int) -> None:
        free = array("Q", [0])
        self._slots = slots
        self._highs, self._lows, self._lines = free * slots, free * slots, free * slots
