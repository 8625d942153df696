"""BLAKE2b (RFC 7693) with digests of 128 bits, of every value of a column at once.

Compiled, and without the interpreter's lock: a call of `hashlib` for each row would take longer
than reading the row does, and one thread at a time.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

DIGEST_BYTES = 16

Digests = npt.NDArray[np.uint64]
"""(n, 2): a digest's bytes in their order, as two words of 8 bytes."""

_BLOCK_BYTES = 128

_INITIAL = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    dtype=np.uint64,
)
_PARAMETERS = np.uint64(0x01010000 ^ DIGEST_BYTES)

# Unsigned, as an index that may be negative costs a comparison each time.
_ORDERS = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    ],
    dtype=np.uint8,
)


def digests(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Digests:
    """Return the digests of values that lie one after the other.

    Value i is `data[offsets[i]:offsets[i + 1]]`; there is one offset more than values.
    """
    found = np.empty((len(offsets) - 1, 2), np.uint64)
    _digest_all(data, offsets, found)
    return found


def digests_of(column: pa.ChunkedArray) -> Digests:
    """Return the digests of a column of strings or bytes without nulls."""
    found = [_of_array(values) for values in column.chunks if len(values)]
    return np.concatenate(found) if found else np.empty((0, 2), np.uint64)


def _of_array(values: pa.Array) -> Digests:
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    return digests(np.frombuffer(data, np.uint8), bounds.astype(np.int64))


@njit(inline="always")
def _turned(word: np.uint64, bits: int) -> np.uint64:
    return (word >> np.uint64(bits)) | (word << np.uint64(64 - bits))


@njit(inline="always")
def _mixed(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64, first: np.uint64, second: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    a = a + b + first
    d = _turned(d ^ a, 32)
    c = c + d
    b = _turned(b ^ c, 24)
    a = a + b + second
    d = _turned(d ^ a, 16)
    c = c + d
    b = _turned(b ^ c, 63)
    return a, b, c, d


@njit(cache=True, nogil=True)
def _compress(state: Digests, words: Digests, size: int, is_last: bool) -> None:  # noqa: FBT001
    v0, v1, v2, v3 = state[0], state[1], state[2], state[3]
    v4, v5, v6, v7 = state[4], state[5], state[6], state[7]
    v8, v9, v10, v11 = _INITIAL[0], _INITIAL[1], _INITIAL[2], _INITIAL[3]
    v12, v13 = _INITIAL[4] ^ np.uint64(size), _INITIAL[5]
    v14, v15 = _INITIAL[6], _INITIAL[7]
    if is_last:
        v14 = ~v14
    for number in range(12):
        order = _ORDERS[number]
        v0, v4, v8, v12 = _mixed(v0, v4, v8, v12, words[order[0]], words[order[1]])
        v1, v5, v9, v13 = _mixed(v1, v5, v9, v13, words[order[2]], words[order[3]])
        v2, v6, v10, v14 = _mixed(v2, v6, v10, v14, words[order[4]], words[order[5]])
        v3, v7, v11, v15 = _mixed(v3, v7, v11, v15, words[order[6]], words[order[7]])
        v0, v5, v10, v15 = _mixed(v0, v5, v10, v15, words[order[8]], words[order[9]])
        v1, v6, v11, v12 = _mixed(v1, v6, v11, v12, words[order[10]], words[order[11]])
        v2, v7, v8, v13 = _mixed(v2, v7, v8, v13, words[order[12]], words[order[13]])
        v3, v4, v9, v14 = _mixed(v3, v4, v9, v14, words[order[14]], words[order[15]])
    state[0] ^= v0 ^ v8
    state[1] ^= v1 ^ v9
    state[2] ^= v2 ^ v10
    state[3] ^= v3 ^ v11
    state[4] ^= v4 ^ v12
    state[5] ^= v5 ^ v13
    state[6] ^= v6 ^ v14
    state[7] ^= v7 ^ v15


@njit(cache=True, nogil=True)
def _digest_all(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], found: Digests
) -> None:
    state, words = np.empty(8, np.uint64), np.empty(16, np.uint64)
    octets = words.view(np.uint8)
    for value in range(len(found)):
        start, end = offsets[value], offsets[value + 1]
        state[:] = _INITIAL
        state[0] ^= _PARAMETERS
        size = 0
        while end - start > _BLOCK_BYTES:
            for place in range(_BLOCK_BYTES):
                octets[place] = data[np.uint64(start + place)]
            start += _BLOCK_BYTES
            size += _BLOCK_BYTES
            _compress(state, words, size, False)  # noqa: FBT003
        words[:] = 0
        for place in range(end - start):
            octets[place] = data[np.uint64(start + place)]
        _compress(state, words, size + end - start, True)  # noqa: FBT003
        found[value, 0], found[value, 1] = state[0], state[1]
