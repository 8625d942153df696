"""Rows of CSV (RFC 4180): comma, double quotes, line breaks within quotes, a header line.

More lenient than the RFC in one point: a quote within a field that does not begin with one stands
for itself.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from cluster.domain.items import RejectedRow
from cluster.errors import MissingColumn, UnreadableSource
from ingest.lines import Line, read_lines
from ingest.rows import Code, Layout, Problem, Row, shown

_QUOTED = re.compile(r'[^"]*+(?:""[^"]*+)*+"')
_QUOTED_BYTES = re.compile(rb'[^"]*+(?:""[^"]*+)*+"')


def csv_rows(stream: BinaryIO, layout: Layout) -> Iterator[Row | RejectedRow]:
    """Yield each record as a row, or why it is none; `line` counts the records after the header.

    Raises MissingColumn and UnreadableSource for a header that does not serve.
    """
    records = read_records(stream, layout.record_bytes_max)
    header = next(records, None)
    if header is None:
        return
    names = _header(header, layout)
    wanted = (layout.id_field, layout.content_field, layout.pair_field)
    places = [_index(names, name, layout) for name in wanted if name is not None]
    for number, record in enumerate(records, 1):
        fields = _fields(record, layout.record_bytes_max)
        if isinstance(fields, Problem):
            yield fields.at(number)
        elif len(fields) != len(names):
            detail = f"the record has {len(fields)} fields; the header has {len(names)}"
            yield Problem(None, Code.CSV_FIELD_COUNT, detail).at(number)
        else:
            yield Row(number, *(fields[place] for place in places))


def read_records(stream: BinaryIO, bytes_max: int) -> Iterator[Line]:
    """Yield the records of a CSV stream, line breaks within quoted fields included; no blank ones.

    A record over the limit has no content, but its end is found like any other's.
    """
    pending: _Pending | None = None
    for line in read_lines(stream, bytes_max):
        if pending is None and line.content is not None and b'"' not in line.content:
            if line.content not in (b"", b"\r"):
                yield line
            continue
        pending = pending or _Pending(line.number, bytes_max)
        pending.extend(line)
        if not pending.is_open:
            yield pending.record()
            pending = None
    if pending is not None:
        yield pending.record()


class _Pending:
    """A record whose last line is perhaps not read yet; forgets what is over the limit."""

    def __init__(self, number: int, bytes_max: int) -> None:
        self._number, self._bytes_max = number, bytes_max
        self._parts: list[bytes] = []
        self._size = -1
        self.is_open = False

    def extend(self, line: Line) -> None:
        """Add a line; `is_open` then tells whether a quoted field goes on in the next one."""
        self._size += 1 + line.size
        if line.content is None:
            self.is_open = self.is_open != line.odd_quotes
        else:
            self.is_open = _open_after(line.content, was_open=self.is_open)
            self._parts.append(line.content)
        if self._size > self._bytes_max:
            self._parts.clear()

    def record(self) -> Line:
        """Return the record as it stands."""
        content = b"\n".join(self._parts) if self._size <= self._bytes_max else None
        return Line(self._number, content, self._size)


def _open_after(line: bytes, *, was_open: bool) -> bool:
    """Tell whether a quoted field is still open at the end of a line."""
    position, quoted = 0, was_open
    while True:
        if quoted or line.startswith(b'"', position):
            closing = _QUOTED_BYTES.match(line, position if quoted else position + 1)
            if closing is None:
                return True
            position = closing.end()
        comma = line.find(b",", position)
        if comma < 0:
            return False
        position, quoted = comma + 1, False


def _fields(record: Line, bytes_max: int) -> list[str] | Problem:
    if record.content is None:
        detail = f"the record has {record.size:,} bytes; the limit is {bytes_max:,}"
        return Problem(None, Code.ROW_TOO_LARGE, detail)
    try:
        text = record.content.decode().removesuffix("\r")
    except UnicodeDecodeError as error:
        detail = f"byte {error.start + 1} of the record is not UTF-8"
        return Problem(None, Code.UTF8_INVALID, detail)
    return split_record(text) if '"' in text else text.split(",")


def split_record(text: str) -> list[str] | Problem:
    """Return the fields of one record without its line end."""
    fields: list[str] = []
    position = 0
    while True:
        if text.startswith('"', position):
            closing = _QUOTED.match(text, position + 1)
            if closing is None:
                return _malformed(f"the quote that opens field {len(fields) + 1} is never closed")
            end = closing.end()
            fields.append(text[position + 1 : end - 1].replace('""', '"'))
        else:
            comma = text.find(",", position)
            end = len(text) if comma < 0 else comma
            fields.append(text[position:end])
        if end == len(text):
            return fields
        if text[end] != ",":
            return _malformed(f"text follows the closing quote of field {len(fields)}")
        position = end + 1


def _malformed(detail: str) -> Problem:
    return Problem(None, Code.CSV_MALFORMED, detail)


def _header(header: Line, layout: Layout) -> tuple[str, ...]:
    names = _fields(header, layout.record_bytes_max)
    if isinstance(names, Problem):
        raise UnreadableSource(layout.uri, f"its header is not CSV: {names.detail}")
    return tuple(names)


def _index(names: tuple[str, ...], name: str, layout: Layout) -> int:
    match [index for index, found in enumerate(names) if found == name]:
        case []:
            raise MissingColumn(layout.uri, name, shown(names, layout))
        case [index]:
            return index
        case _:
            raise UnreadableSource(layout.uri, f"it has more than one column {name!r}")
