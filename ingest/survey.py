"""Which lines a lenient but fast JSON parser may be trusted with, told by one look at their bytes.

Arrow's parser takes some things for JSON that are not, and some lines that other limits forbid:
several objects in a line, NaN and Infinity, any depth, integers of any length, a NUL as the end of
all. A *plain* line has none of them, so that on plain lines it agrees with the strict parser, or
fails.
"""

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


def plain_lines(
    data: Octets, starts: Offsets, ends: Offsets, bytes_max: int
) -> npt.NDArray[np.bool_]:
    """Tell of each line whether it is plain: `data[start:end]`, without its LF."""
    plain = np.empty(len(starts), np.bool_)
    _judge(data, starts, ends, bytes_max, plain)
    return plain


@njit(cache=True, nogil=True)
def _judge(
    data: Octets, starts: Offsets, ends: Offsets, bytes_max: int, plain: npt.NDArray[np.bool_]
) -> None:
    for line in range(len(starts)):
        start, end = np.uint64(starts[line]), np.uint64(ends[line])
        plain[line] = False
        if end - start > bytes_max:
            continue
        if end > start and data[end - np.uint64(1)] == ord("\r"):
            end -= np.uint64(1)
        if end > start and data[start] == ord("{"):
            few = end - start <= _LONG_BYTES or _values(data, start, end) <= _LONG_BYTES
            plain[line] = few and _is_one_object(data, start, end)


@njit(cache=True, nogil=True)
def _values(data: Octets, start: np.uint64, end: np.uint64) -> int:
    found = 0
    for place in range(start, end):
        octet = data[place]
        if octet == ord(",") or octet == ord("[") or octet == ord("{"):
            found += 1
    return found


@njit(cache=True, nogil=True)
def _is_one_object(data: Octets, start: np.uint64, end: np.uint64) -> bool:
    """Whether the brackets close at the end and not before, and nothing odd is outside strings."""
    depth, digits, place = 0, 0, start
    while place < end:
        octet = data[place]
        place += np.uint64(1)
        digits = digits + 1 if _KINDS[octet] == _DIGIT else 0
        if _KINDS[octet] == _QUOTE:
            place = _after_string(data, place, end)
        elif _KINDS[octet] == _OPENS:
            depth += 1
        elif _KINDS[octet] == _CLOSES:
            depth -= 1
        closed_early = depth == 0 and place != end
        if _KINDS[octet] == _ODD or closed_early or depth > DEPTH_MAX or digits > DIGITS_MAX:
            return False
    return depth == 0 and place == end


@njit(cache=True, nogil=True)
def _after_string(data: Octets, place: np.uint64, end: np.uint64) -> np.uint64:
    """Return what follows a string's closing quote, or a place beyond the end where it has none.

    Neither has a string with a control character.
    """
    one = np.uint64(1)
    while place < end:
        octet = data[place]
        place += one
        if _ENDS_TEXT[octet]:
            if octet == ord('"'):
                return place
            if octet != ord("\\"):
                break
            place += one
    return end + one
