"""Walks the page headers of a Parquet column, so that no page is unpacked before its size is known.

A few hundred bytes of Parquet can claim gigabytes, and the sizes in the footer need not be true
(arrow #49955, arrow-rs #10734). The decoder allocates what a *page header* says, so the headers are
read here first, in Thrift's compact protocol. No value of any encoding is larger than the page it
comes from, so the largest page also bounds every decoded value.

Format: https://github.com/apache/parquet-format (`PageHeader`);
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

PAGES_MAX = 1_000_000
"""Pages in one column of one row group."""

_WINDOW_BYTES = 1_024
_HEADER_BYTES_MAX = 16 * 2**20
_DEPTH_MAX = 8

_UNPACKED_BYTES, _PACKED_BYTES = 2, 3
_PAGE_KINDS = (5, 7, 8)
_VALUES = 1

_INTEGERS = frozenset({4, 5, 6})
_FIXED_BYTES = {1: 0, 2: 0, 3: 1, 7: 8}
_BINARY, _STRUCT = 8, 12
_VARINT_BITS_MAX = 70


class PageCorruptError(ValueError):
    """A page header does not follow the format; never leaves this package."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a page header claims: the bytes of its page once unpacked, and the values in it."""

    unpacked_bytes: int
    values: int


def walk_pages(
    stream: BinaryIO, start: int, end: int, pages_max: int = PAGES_MAX
) -> Iterator[Page]:
    """Yield the pages that lie between two offsets; raises PageCorruptError."""
    position, pages = start, 0
    while position < end:
        header, length = _read_header(stream, position)
        unpacked, packed = header.numbers.get(_UNPACKED_BYTES), header.numbers.get(_PACKED_BYTES)
        pages += 1
        if pages > pages_max or unpacked is None or packed is None or min(unpacked, packed) < 0:
            raise PageCorruptError
        yield Page(unpacked, max(_values(header), default=0))
        position += length + packed


def _values(header: "_Fields") -> Iterator[int]:
    """Yield the numbers of values that the header of a data or dictionary page states."""
    for kind in _PAGE_KINDS:
        if kind in header.nested:
            yield header.nested[kind].numbers.get(_VALUES, 0)


@dataclass(frozen=True, slots=True)
class _Fields:
    """The integers and structs of one Thrift struct, by field id."""

    numbers: Mapping[int, int]
    nested: Mapping[int, "_Fields"]


def _read_header(stream: BinaryIO, position: int) -> tuple[_Fields, int]:
    """Return the header at an offset and its length, reading no more than it needs."""
    window = _WINDOW_BYTES
    while True:
        stream.seek(position)
        content = stream.read(window)
        cursor = _Cursor(content)
        try:
            return cursor.struct(0), cursor.position
        except EOFError:
            if len(content) < window or window >= _HEADER_BYTES_MAX:
                raise PageCorruptError from None
            window *= 16


class _Cursor:
    """Reads Thrift's compact protocol; raises EOFError where the bytes end too early."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.position = 0

    def struct(self, depth: int) -> _Fields:
        """Read a struct; raises PageCorruptError for what no page header holds."""
        numbers: dict[int, int] = {}
        nested: dict[int, _Fields] = {}
        field = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            field = field + step if step else self._zigzag()
            if kind in _INTEGERS:
                numbers[field] = self._zigzag()
            elif kind == _STRUCT and depth < _DEPTH_MAX:
                nested[field] = self.struct(depth + 1)
            elif kind == _BINARY:
                self._skip(self._varint())
            elif kind in _FIXED_BYTES:
                self._skip(_FIXED_BYTES[kind])
            else:
                raise PageCorruptError
        return _Fields(numbers, nested)

    def _byte(self) -> int:
        self._skip(1)
        return self._content[self.position - 1]

    def _skip(self, count: int) -> None:
        self.position += count
        if self.position > len(self._content):
            raise EOFError

    def _varint(self) -> int:
        value = 0
        for shift in range(0, _VARINT_BITS_MAX, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise PageCorruptError

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
