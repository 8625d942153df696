"""Which lines a lenient but fast JSON parser may be trusted with, told by one look at their bytes.

Arrow's parser takes some things for JSON that are not, and some lines that other limits forbid:
several objects in a line, NaN and Infinity, any depth, integers of any length, a NUL as the end of
all. A *plain* line has none of them, so that on plain lines it agrees with the strict parser, or
fails.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

DEPTH_MAX = 64
DIGITS_MAX = 4_000
_LONG_BYTES = 100_000
"""Lines this long are left to the strict parser where they hold as many values as it allows."""

_PLAIN, _DIGIT, _QUOTE, _OPENS, _CLOSES, _ODD = range(6)


def _kind(octet: int) -> int:
    """Return what an octet outside strings is; capitals are there in NaN and Infinity alone."""
    for kind, octets in ((_QUOTE, b'"'), (_OPENS, b"{["), (_CLOSES, b"}]"), (_ODD, b"NI")):
        if octet in octets:
            return kind
    if octet < ord(" ") and octet != ord("\t"):
        return _ODD
    return _DIGIT if octet in b"0123456789" else _PLAIN


_KINDS = np.array([_kind(octet) for octet in range(256)], np.uint8)

_ENDS_TEXT = np.array([octet in b'"\\' or octet < ord(" ") for octet in range(256)])
"""By octet: whether it means something within a string, or must not be there."""

Octets = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


class Survey(NamedTuple):
    """Where each line begins and ends, its LF left out, and whether it is plain."""

    starts: Offsets
    ends: Offsets
    plain: npt.NDArray[np.bool_]


def survey(data: Octets, lines: int, bytes_max: int) -> Survey:
    """Look at the lines of which `data` consists; the last may lack its LF.

    Lines of more than `bytes_max` bytes are not plain.
    """
    ends, plain = np.empty(lines, np.int64), np.empty(lines, np.bool_)
    _judge(data, bytes_max, ends, plain)
    return Survey(np.concatenate([[0], ends[:-1] + 1]), ends, plain)


@njit(cache=True, nogil=True)
def _judge(data: Octets, bytes_max: int, ends: Offsets, plain: npt.NDArray[np.bool_]) -> None:
    start, size, one = np.uint64(0), np.uint64(len(data)), np.uint64(1)
    for line in range(len(ends)):
        end, whole = start, False
        if start < size and data[start] == ord("{"):
            end, whole = _after_object(data, start, size)
            if whole and end < size and data[end] == ord("\r"):
                end += one
        if end < size and data[end] != ord("\n"):
            end, whole = _end_of_line(data, end, size), False
        ends[line] = end
        few = end - start <= _LONG_BYTES or _values(data, start, end) <= _LONG_BYTES
        plain[line] = whole and few and end - start <= bytes_max
        start = end + one


@njit(cache=True, nogil=True)
def _end_of_line(data: Octets, place: np.uint64, size: np.uint64) -> np.uint64:
    while place < size and data[place] != ord("\n"):
        place += np.uint64(1)
    return place


@njit(cache=True, nogil=True)
def _values(data: Octets, start: np.uint64, end: np.uint64) -> int:
    found = 0
    for place in range(start, end):
        octet = data[place]
        if octet == ord(",") or octet == ord("[") or octet == ord("{"):
            found += 1
    return found


@njit(cache=True, nogil=True)
def _after_object(data: Octets, place: np.uint64, size: np.uint64) -> tuple[np.uint64, bool]:
    """Return what follows the object that begins at a place, and whether it ends.

    It does not where anything odd is in it; the place is then one of the same line.
    """
    depth, digits = 0, 0
    while place < size and _KINDS[data[place]] != _ODD:
        kind = _KINDS[data[place]]
        place += np.uint64(1)
        digits = digits + 1 if kind == _DIGIT else 0
        if kind == _QUOTE:
            place, closed = _after_string(data, place, size)
            if not closed:
                break
        elif kind == _OPENS:
            depth += 1
        elif kind == _CLOSES:
            depth -= 1
            if depth == 0:
                return place, True
        if depth > DEPTH_MAX or digits > DIGITS_MAX:
            break
    return place, False


@njit(cache=True, nogil=True)
def _after_string(data: Octets, place: np.uint64, size: np.uint64) -> tuple[np.uint64, bool]:
    """Return what follows a string's closing quote, and whether it has one.

    A string with a control character has none, and the place is that character's.
    """
    one = np.uint64(1)
    while place < size:
        octet = data[place]
        if _ENDS_TEXT[octet]:
            if octet == ord('"'):
                return place + one, True
            if octet != ord("\\"):
                return place, False
            place += one
            if place < size and data[place] < ord(" "):
                return place, False
        place += one
    return size, False
