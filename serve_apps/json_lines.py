"""Tables as JSON Lines, column by column: no row becomes a Python object."""

import json

import pyarrow as pa
import pyarrow.compute as pc

_ESCAPED = r'["\\\x00-\x1f]'
"""What must not stand in a JSON string as it is (RFC 8259, section 7)."""


def json_lines(table: pa.Table) -> bytes:
    """Return one object a row; columns are strings, integers, finite floats or booleans.

    Floats have the digits of the doubles they are, as they have where JSON is made row by row.
    """
    if not len(table):
        return b""
    parts: list[pa.ChunkedArray | str] = []
    for number, name in enumerate(table.column_names):
        parts += [("{" if not number else ", ") + json.dumps(name) + ": ", _values(table[name])]
    lines = pc.binary_join_element_wise(*parts, "}\n", "").combine_chunks()
    return _bytes_of(lines)


def _values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column's values as JSON text."""
    if pa.types.is_string(column.type):
        return pc.fill_null(_quoted(column), "null")
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
    return pc.fill_null(column.cast(pa.string()), "null")


def _quoted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.any(pc.match_substring_regex(column, _ESCAPED)).as_py():
        quoted = (
            None if text is None else json.dumps(text, ensure_ascii=False)
            for text in column.to_pylist()
        )
        return pa.chunked_array([pa.array(quoted, pa.string())])
    return pc.binary_join_element_wise('"', column, '"', "")


def _bytes_of(lines: pa.Array) -> bytes:
    """Return strings one after the other, as they lie in memory."""
    whole = lines.cast(pa.large_string())
    offsets = whole.buffers()[1]
    bounds = memoryview(offsets).cast("q")
    first, last = bounds[whole.offset], bounds[whole.offset + len(whole)]
    return bytes(memoryview(whole.buffers()[2])[first:last])
