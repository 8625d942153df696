"""Digests on disk, sorted, each run of them behind a Bloom filter in memory.

A log-structured merge tree that only grows (O'Neil et al. 1996): eight runs of one size are merged
into one, so that a digest is written once for each power of eight, and hardly more than eight
filters are asked for it. A filter of 10 to 21 bits a digest lets less than one new digest in a
hundred through to its run.
"""

import mmap
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from ingest.digests import Digests

_FAN_IN = 8
_PROBES = 6
_BITS_PER_DIGEST_MIN = 10
_MERGE_PARTS = 256

Entries = npt.NDArray[np.uint64]
"""(n, 3): both words of a digest and its line."""


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """Entries sorted by digest in an unlinked file, the filter before them, and merges so far."""

    mapping: mmap.mmap
    bits: npt.NDArray[np.uint64]
    tier: int

    @property
    def entries(self) -> Entries:
        return np.frombuffer(self.mapping, np.uint64).reshape(-1, 3)

    def forget_pages(self) -> None:
        """Let the kernel alone keep what was read: it counts as this process's memory no more."""
        self.mapping.madvise(mmap.MADV_DONTNEED)


class Runs:
    """Maps digests to lines; each digest is added once."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def add(self, entries: Entries) -> None:
        """Store entries in any order."""
        self._runs.append(_stored([_sorted(entries)], len(entries), 0))
        while self._is_due():
            merged = self._runs[-_FAN_IN:]
            count = sum(len(run.entries) for run in merged)
            whole = _stored(_merged(merged), count, merged[0].tier + 1)
            self._runs[-_FAN_IN:] = [whole]

    def find(self, digests: Digests, lines: npt.NDArray[np.int64]) -> None:
        """Fill in the lines of those digests that are stored; leave the others as they are."""
        for run in self._runs:
            places = np.flatnonzero(_may_hold(run.bits, digests))
            if len(places):
                lines[places] = np.maximum(lines[places], _searched(run.entries, digests[places]))
                run.forget_pages()

    def _is_due(self) -> bool:
        last = self._runs[-_FAN_IN:]
        return len(last) == _FAN_IN and last[0].tier == last[-1].tier


def _sorted(entries: Entries) -> Entries:
    """Return entries by digest; sorting by its first half is eight times as fast, and is enough
    wherever no two of these halves are equal."""
    found = entries[np.argsort(entries[:, 0])]
    if (found[1:, 0] == found[:-1, 0]).any():
        return entries[np.lexsort((entries[:, 1], entries[:, 0]))]
    return found


def _stored(parts: Iterable[Entries], count: int, tier: int) -> _Run:
    bits = np.zeros(_filter_words(count), np.uint64)
    with tempfile.TemporaryFile(prefix="muster-ids-") as file:
        for part in parts:
            part.tofile(file)
            _let_through(bits, part)
        file.flush()
        return _Run(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), bits, tier)


def _merged(runs: Sequence[_Run]) -> Iterator[Entries]:
    """Yield all entries of some runs in order, one range of digests after the other."""
    edges = np.arange(1, _MERGE_PARTS, dtype=np.uint64) << np.uint64(56)
    cuts = [
        np.concatenate([[0], np.searchsorted(run.entries[:, 0], edges), [len(run.entries)]])
        for run in runs
    ]
    for part in range(_MERGE_PARTS):
        pieces = [
            run.entries[cut[part] : cut[part + 1]] for run, cut in zip(runs, cuts, strict=True)
        ]
        yield _sorted(np.concatenate(pieces))
        for run in runs:
            run.forget_pages()


def _filter_words(count: int) -> int:
    """Return a power of two, for positions to be cut out of a digest by a mask."""
    return 1 << max((count * _BITS_PER_DIGEST_MIN // 64), 1).bit_length()


@njit(cache=True, nogil=True)
def _let_through(bits: npt.NDArray[np.uint64], entries: Entries) -> None:
    last = np.uint64(len(bits) * 64 - 1)
    for entry in range(len(entries)):
        bit, step = entries[entry, 1], entries[entry, 0] | np.uint64(1)
        for _ in range(_PROBES):
            bit += step
            place = bit & last
            bits[place >> np.uint64(6)] |= np.uint64(1) << (place & np.uint64(63))


@njit(cache=True, nogil=True)
def _may_hold(bits: npt.NDArray[np.uint64], digests: Digests) -> npt.NDArray[np.bool_]:
    last = np.uint64(len(bits) * 64 - 1)
    held = np.ones(len(digests), np.bool_)
    for digest in range(len(digests)):
        bit, step = digests[digest, 1], digests[digest, 0] | np.uint64(1)
        for _ in range(_PROBES):
            bit += step
            place = bit & last
            if not (bits[place >> np.uint64(6)] >> (place & np.uint64(63))) & np.uint64(1):
                held[digest] = False
                break
    return held


@njit(cache=True, nogil=True)
def _searched(entries: Entries, digests: Digests) -> npt.NDArray[np.int64]:
    """Return the line of each digest by binary search, 0 where it is not there."""
    lines = np.zeros(len(digests), np.int64)
    for digest in range(len(digests)):
        high, low = digests[digest, 0], digests[digest, 1]
        start, end = 0, len(entries)
        while start < end:
            middle = (start + end) // 2
            found = entries[middle, 0]
            if found < high or (found == high and entries[middle, 1] < low):
                start = middle + 1
            else:
                end = middle
        if start < len(entries) and entries[start, 0] == high and entries[start, 1] == low:
            lines[digest] = entries[start, 2]
    return lines
