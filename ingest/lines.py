"""Splits a byte stream into lines without ever holding more than one line's limit."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_BLOCK_BYTES = 2**20


class Line(NamedTuple):
    """One line without its end; `content` is None where it is longer than the limit.

    `odd_quotes` says of such a line whether it held an odd number of double quotes.
    """

    number: int
    content: bytes | None
    size: int
    odd_quotes: bool = False


def read_lines(stream: BinaryIO, bytes_max: int) -> Iterator[Line]:
    """Yield the lines of a stream, numbered from 1 and ended by LF; the CR of a CRLF stays.

    A UTF-8 mark at the beginning is dropped. Memory stays within `bytes_max` and a few blocks of
    1 MiB, however long a line is.
    """
    number, head = 0, _Head(bytes_max)
    while block := stream.read(_BLOCK_BYTES):
        *whole, rest = block.split(b"\n")
        for content in whole:
            number += 1
            if head.size:
                yield head.ended(content, number)
                head = _Head(bytes_max)
            else:
                yield _line(number, content, bytes_max)
        head.extend(rest)
    if head.size:
        yield head.ended(b"", number + 1)


def _line(number: int, content: bytes, bytes_max: int) -> Line:
    if number == 1:
        content = content.removeprefix(codecs.BOM_UTF8)
    if len(content) > bytes_max:
        return Line(number, None, len(content), content.count(b'"') % 2 == 1)
    return Line(number, content, len(content))


class _Head:
    """The beginning of a line whose end is not read yet; forgets what is over the limit."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._parts: list[bytes] = []
        self._quotes = 0
        self.size = 0

    def extend(self, part: bytes) -> None:
        """Add what follows."""
        self.size += len(part)
        self._quotes += part.count(b'"')
        if self.size > self._bytes_max + len(codecs.BOM_UTF8):
            self._parts.clear()
        else:
            self._parts.append(part)

    def ended(self, part: bytes, number: int) -> Line:
        """Return the line that ends with `part`."""
        self.extend(part)
        if self._parts or not self.size:
            return _line(number, b"".join(self._parts), self._bytes_max)
        return Line(number, None, self.size, self._quotes % 2 == 1)
