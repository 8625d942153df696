"""Where the columns of a Parquet file lie, read from its footer.

Arrow reads the footer itself, but one column's damaged entry makes its Python binding for
`RowGroupMetaData.column` end the process instead of raising (pyarrow 26), so nobody asks it here.
Format: https://github.com/apache/parquet-format (`FileMetaData`).
"""

from dataclasses import dataclass

from ingest.thrift import I64, STRUCT, Cursor, ThriftError

_ROW_GROUPS = 4
_COLUMNS, _ROWS = 1, 3
_COLUMN_METADATA = 3
_PACKED_BYTES, _DATA_OFFSET, _DICTIONARY_OFFSET = 7, 9, 11


@dataclass(frozen=True, slots=True)
class ColumnChunk:
    """The bytes from `start` to `end`, which hold one column of one row group."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A run of rows, and where each of their columns lies, in the order of the schema's leaves."""

    rows: int
    columns: tuple[ColumnChunk, ...]


def read_footer(content: bytes) -> list[RowGroup]:
    """Return the row groups of a file by its footer; raises ThriftError and EOFError."""
    cursor = Cursor(content)
    groups: list[RowGroup] = []
    for field, kind in cursor.fields():
        if field == _ROW_GROUPS:
            groups = [_row_group(cursor) for _ in cursor.items(kind, STRUCT)]
        else:
            cursor.skip(kind)
    return groups


def _row_group(cursor: Cursor) -> RowGroup:
    rows = 0
    columns: tuple[ColumnChunk, ...] = ()
    for field, kind in cursor.fields():
        if field == _COLUMNS:
            columns = tuple(_column_chunk(cursor) for _ in cursor.items(kind, STRUCT))
        elif field == _ROWS:
            rows = cursor.integer(kind, I64)
        else:
            cursor.skip(kind)
    return RowGroup(rows, columns)


def _column_chunk(cursor: Cursor) -> ColumnChunk:
    found: ColumnChunk | None = None
    for field, kind in cursor.fields():
        if field == _COLUMN_METADATA and kind == STRUCT:
            found = _column_metadata(cursor)
        else:
            cursor.skip(kind)
    if found is None:
        raise ThriftError
    return found


def _column_metadata(cursor: Cursor) -> ColumnChunk:
    packed_bytes = data_offset = dictionary_offset = 0
    for field, kind in cursor.fields():
        if field == _PACKED_BYTES:
            packed_bytes = cursor.integer(kind, I64)
        elif field == _DATA_OFFSET:
            data_offset = cursor.integer(kind, I64)
        elif field == _DICTIONARY_OFFSET:
            dictionary_offset = cursor.integer(kind, I64)
        else:
            cursor.skip(kind)
    start = min(data_offset, dictionary_offset or data_offset)
    if start < 0 or packed_bytes < 0:
        raise ThriftError
    return ColumnChunk(start, start + packed_bytes)
