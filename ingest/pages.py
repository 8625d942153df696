"""Walks the page headers of a Parquet column, so that no page is unpacked before its size is known.

A few hundred bytes of Parquet can claim gigabytes, and the sizes in the footer need not be true
(arrow #49955, arrow-rs #10734). The decoder allocates what a *page header* says, so the headers are
read here first. No value of any encoding is larger than the page it comes from, so the largest page
also bounds every decoded value.
Format: https://github.com/apache/parquet-format (`PageHeader`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ingest.thrift import I32, STRUCT, Cursor, ThriftError

PAGES_MAX = 1_000_000
"""Pages in one column of one row group."""

_WINDOW_BYTES = 1_024
_HEADER_BYTES_MAX = 16 * 2**20

_UNPACKED_BYTES, _PACKED_BYTES = 2, 3
_PAGE_KINDS = frozenset({5, 7, 8})
_VALUES = 1


@dataclass(frozen=True, slots=True)
class Page:
    """What a page header claims: the bytes of its page unpacked and packed, and its values."""

    unpacked_bytes: int
    packed_bytes: int
    values: int


def walk_pages(
    stream: BinaryIO, start: int, end: int, pages_max: int = PAGES_MAX
) -> Iterator[Page]:
    """Yield the pages that lie between two offsets; raises ThriftError and EOFError."""
    position, pages = start, 0
    while position < end:
        page, header_bytes = _read_page(stream, position)
        pages += 1
        if pages > pages_max or min(page.unpacked_bytes, page.packed_bytes, page.values) < 0:
            raise ThriftError
        yield page
        position += header_bytes + page.packed_bytes


def _read_page(stream: BinaryIO, position: int) -> tuple[Page, int]:
    """Return the page whose header is at an offset, and the header's length."""
    window = _WINDOW_BYTES
    while True:
        stream.seek(position)
        content = stream.read(window)
        cursor = Cursor(content)
        try:
            return _page(cursor), cursor.position
        except EOFError:
            if len(content) < window or window >= _HEADER_BYTES_MAX:
                raise
            window *= 16


def _page(cursor: Cursor) -> Page:
    unpacked_bytes = packed_bytes = -1
    values = 0
    for field, kind in cursor.fields():
        if field == _UNPACKED_BYTES:
            unpacked_bytes = cursor.integer(kind, I32)
        elif field == _PACKED_BYTES:
            packed_bytes = cursor.integer(kind, I32)
        elif field in _PAGE_KINDS and kind == STRUCT:
            values = max(values, _values(cursor))
        else:
            cursor.skip(kind)
    return Page(unpacked_bytes, packed_bytes, values)


def _values(cursor: Cursor) -> int:
    """Return the number of values in the header of a data or dictionary page."""
    values = 0
    for field, kind in cursor.fields():
        if field == _VALUES:
            values = cursor.integer(kind, I32)
        else:
            cursor.skip(kind)
    return values
