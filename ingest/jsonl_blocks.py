"""JSON Lines by column: Arrow parses what is plain, line by line is parsed what is not.

The rows are those of `ingest.jsonl.jsonl_rows`, which says what JSON is here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.json as pj

from cluster.domain.items import RejectedRow
from ingest.blocks import Block, Columns, UnreadBlock
from ingest.jsonl import is_blank, parse_line, too_long
from ingest.rows import Integers, Layout, Place, Row
from ingest.spans import LongLine, Span, read_spans
from ingest.survey import Survey, survey

_PIECE_LINES = 256
"""A span that Arrow refuses is offered to it again in pieces; those it refuses go line by line."""


def jsonl_blocks(stream: BinaryIO, layout: Layout, place: Place) -> Iterator[UnreadBlock]:
    """Yield the lines from a place on as blocks; parsing them is left to the caller's threads."""
    for span in read_spans(stream, place, layout.record_bytes_max):
        if isinstance(span, LongLine):
            refused = too_long(span.place.line, span.size, layout.record_bytes_max)
            yield partial(Block, rows=[refused], starts=[span.place.offset])
        else:
            yield partial(parse_span, span, layout)


def parse_span(span: Span, layout: Layout) -> Block:
    """Return the rows of a span."""
    return _Parsing(span, layout).block()


@dataclass(frozen=True)
class _Parsing:
    """One span, and what a look at its lines has told."""

    span: Span
    layout: Layout

    @cached_property
    def survey(self) -> Survey:
        octets = np.frombuffer(self.span.data, np.uint8)
        return survey(octets, self.span.lines, self.layout.record_bytes_max)

    def block(self) -> Block:
        plain = self.survey.plain
        columns, refused = self._columns(np.flatnonzero(plain))
        by_themselves = np.union1d(np.flatnonzero(~plain), refused).tolist()
        found = [(line, self._row(line)) for line in by_themselves]
        rows = [(row, int(self._begin(line))) for line, row in found if row is not None]
        return Block(
            columns=columns, rows=[row for row, _ in rows], starts=[start for _, start in rows]
        )

    def _columns(self, plain: Integers) -> tuple[list[Columns], Integers]:
        """Return plain lines as columns, and those lines that Arrow refuses all the same."""
        if not len(plain):
            return [], plain
        whole = self._parsed(plain)
        if whole is not None:
            return [whole], plain[:0]
        columns, refused = list[Columns](), [plain[:0]]
        for first in range(0, len(plain), _PIECE_LINES):
            lines = plain[first : first + _PIECE_LINES]
            piece = self._parsed(lines)
            if piece is None:
                refused.append(lines)
            else:
                columns.append(piece)
        return columns, np.concatenate(refused)

    def _parsed(self, lines: Integers) -> Columns | None:
        text = self._text(lines)
        layout = self.layout
        fields = [pa.field(name, pa.string()) for name in layout.fields]
        is_id_alone = layout.id_field not in (layout.content_field, layout.pair_field)
        if is_id_alone and self._has_integer_id(int(lines[0])):
            fields[0] = fields[0].with_type(pa.int64())
        table = _parse(text, pa.schema(fields))
        if table is None or table.num_rows != len(lines):
            return None
        return Columns(
            lines=self.span.place.line + lines,
            starts=self._begin(lines),
            ids=_whole(table[layout.id_field]),
            texts=_whole(table[layout.content_field]),
            seconds=None if layout.pair_field is None else _whole(table[layout.pair_field]),
            row=lambda index: self._strictly(int(lines[index])),
        )

    def _text(self, lines: Integers) -> bytes | memoryview:
        data, (starts, ends, _) = self.span.data, self.survey
        first, last = lines[0], lines[-1]
        if last - first == len(lines) - 1:
            return memoryview(data)[starts[first] : ends[last]]
        return b"\n".join([data[starts[line] : ends[line]] for line in lines])

    def _has_integer_id(self, line: int) -> bool:
        row = self._strictly(line)
        return isinstance(row, Row) and isinstance(row.item_id, int)

    def _row(self, line: int) -> Row | RejectedRow | None:
        if is_blank(self._content(line)):
            return None
        return self._strictly(line)

    def _strictly(self, line: int) -> Row | RejectedRow:
        number = self.span.place.line + line
        content = self._content(line)
        if len(content) > self.layout.record_bytes_max:
            return too_long(number, len(content), self.layout.record_bytes_max)
        return parse_line(number, content, self.layout)

    def _content(self, line: int) -> bytes:
        return self.span.data[self.survey.starts[line] : self.survey.ends[line]]

    def _begin(self, lines: Integers | int) -> Integers:
        return self.span.place.offset + self.survey.starts[lines]


def _parse(text: bytes | memoryview, schema: pa.Schema) -> pa.Table | None:
    """Return the fields of a schema of one object a line, or None where Arrow refuses any."""
    offsets = pa.py_buffer(np.array([0, len(text)], np.int64))
    try:
        # Arrow's parser copies any bytes; all of a line must be UTF-8, not the fields alone.
        pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(text)]).validate(
            full=True
        )
        return pj.read_json(
            pa.BufferReader(text),
            pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
            pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
    except pa.ArrowInvalid:
        return None


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
