"""Rows of Parquet, read in batches small enough that what they unpack to stays bounded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pat

from cluster.errors import InvalidField, MissingColumn, TooLarge, UnreadableSource
from ingest.blocks import Block, Columns, UnreadBlock
from ingest.footer import RowGroup, read_footer
from ingest.pages import walk_pages
from ingest.rows import Layout, Place, Row, shown
from ingest.thrift import ThriftError

PAGE_VALUES_MAX = 2**25
"""Values in one page: some decoders allocate 4 bytes for each before they read the first."""

_TAIL_BYTES = 8
_FOOTER_BYTES_MAX = 32 * 2**20
_FOOTER_LIST_MAX = 200_000
_BATCH_ROWS_MAX = 1_024
_READ_BUFFER_BYTES = 2**20
_BLOCK_BYTES = 4 * 2**20


def parquet_rows(stream: BinaryIO, layout: Layout) -> Iterator[Row]:
    """Yield each record as a row; `line` counts the records from 1.

    Raises MissingColumn, InvalidField for a column of a type that cannot serve, TooLarge, and
    UnreadableSource for what is no Parquet or is damaged.
    """
    for first, batch in _read(stream, layout, 1):
        yield from _rows(batch, first, layout)


def parquet_blocks(stream: BinaryIO, layout: Layout, place: Place) -> Iterator[UnreadBlock]:
    """Yield the records of texts from a place on as blocks; raises like `parquet_rows`."""
    pending, size, first = list[pa.RecordBatch](), 0, place.line
    for number, batch in _read(stream, layout, place.line):
        pending.append(batch.slice(max(place.line - number, 0)))
        size += batch.nbytes
        if size >= _BLOCK_BYTES:
            yield partial(_block, pending, first, layout)
            first = number + batch.num_rows
            pending, size = [], 0
    if pending:
        yield partial(_block, pending, first, layout)


def record_count(stream: BinaryIO, layout: Layout) -> int:
    """Return how many records a source says it has; raises UnreadableSource for a damaged one."""
    size = stream.seek(0, 2)
    return sum(group.rows for group in _open(stream, size, layout).groups) if size else 0


def _block(batches: Sequence[pa.RecordBatch], first: int, layout: Layout) -> Block:
    table = pa.Table.from_batches(batches)
    ids, texts = (_whole(table[name]) for name in (layout.id_field, layout.content_field))
    seconds = None if layout.pair_field is None else _whole(table[layout.pair_field])
    texts_of = (texts,) if seconds is None else (texts, seconds)
    columns = Columns(
        lines=np.arange(first, first + len(ids)),
        starts=np.zeros(len(ids), np.int64),
        ids=ids,
        texts=texts,
        seconds=seconds,
        row=lambda index: Row(
            first + index, _value(ids, index), *(_value(column, index) for column in texts_of)
        ),
    )
    return Block(columns=[columns])


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks)


def _value(column: pa.Array, index: int) -> object:
    found: object = _plain(column.slice(index, 1))[0]
    return found


def _read(stream: BinaryIO, layout: Layout, from_line: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield batches with the number of their first record, from the batch on that holds a line."""
    size = stream.seek(0, 2)
    if size == 0:
        return
    table = _open(stream, size, layout)
    leaves = _leaves(table.file.schema_arrow, layout)
    first, unpacked = 1, 0
    for number, group in enumerate(table.groups):
        if first + group.rows <= from_line or not group.rows:
            first += group.rows
            continue
        largest = _largest_page(table, number, leaves, stream, layout)
        for batch in _batches(table, number, leaves, largest, layout):
            unpacked += batch.nbytes
            if unpacked > layout.decoded_bytes_max:
                raise TooLarge(f"{layout.uri} unpacked", unpacked, layout.decoded_bytes_max)
            if first + batch.num_rows > from_line:
                yield first, batch
            first += batch.num_rows


@dataclass(frozen=True, slots=True)
class _Table:
    """Arrow's reader of a file, our own reading of where its columns lie, and their paths."""

    file: pq.ParquetFile
    groups: Sequence[RowGroup]
    paths: Sequence[str]


def _open(stream: BinaryIO, size: int, layout: Layout) -> _Table:
    damaged = UnreadableSource(layout.uri, "it is not Parquet, or its footer is damaged")
    stream.seek(max(size - _TAIL_BYTES, 0))
    footer_bytes = int.from_bytes(stream.read(4), "little")
    if footer_bytes > min(size - _TAIL_BYTES, _FOOTER_BYTES_MAX):
        raise damaged
    try:
        file = pq.ParquetFile(
            stream,
            buffer_size=_READ_BUFFER_BYTES,
            pre_buffer=False,
            thrift_container_size_limit=_FOOTER_LIST_MAX,
            page_checksum_verification=True,
        )
        paths = [file.schema.column(index).path for index in range(len(file.schema))]
        stream.seek(size - _TAIL_BYTES - footer_bytes)
        groups = read_footer(stream.read(footer_bytes))
    except (pa.ArrowException, OSError, UnicodeDecodeError, ThriftError, EOFError):
        raise damaged from None
    if len(groups) != file.num_row_groups or any(len(g.columns) != len(paths) for g in groups):
        raise damaged
    return _Table(file, groups, paths)


def _leaves(schema: pa.Schema, layout: Layout) -> list[str]:
    """Return the columns to read, the fields of a struct by themselves."""
    id_type = _type_of(schema, layout.id_field, layout)
    if not (_is_text(id_type) or pat.is_integer(id_type) or pat.is_null(id_type)):
        raise InvalidField("source.id_field", _misfit(layout.id_field, id_type, "text or integers"))
    content_type = _type_of(schema, layout.content_field, layout)
    content = layout.content_field
    if layout.modality == "image" and _is_image_struct(content_type):
        parts = (name for name in ("bytes", "path") if content_type.get_field_index(name) >= 0)
        return [layout.id_field, *(f"{content}.{part}" for part in parts)]
    if not (_is_text(content_type) or pat.is_null(content_type)):
        wanted = "binary or a struct with bytes" if layout.modality == "image" else "text"
        raise InvalidField("source.content_field", _misfit(content, content_type, wanted))
    if layout.pair_field is not None:
        pair_type = _type_of(schema, layout.pair_field, layout)
        if not (_is_text(pair_type) or pat.is_null(pair_type)):
            reason = _misfit(layout.pair_field, pair_type, "text")
            raise InvalidField("source.pair_field", reason)
    return list(layout.fields)


def _type_of(schema: pa.Schema, name: str, layout: Layout) -> pa.DataType:
    match schema.get_all_field_indices(name):
        case []:
            raise MissingColumn(layout.uri, name, shown(schema.names, layout))
        case [index]:
            found = schema.field(index).type
            return found.value_type if pat.is_dictionary(found) else found
        case _:
            raise UnreadableSource(layout.uri, f"it has more than one column {name!r}")


def _is_text(found: pa.DataType) -> bool:
    """Whether values are strings or bytes; some writers leave text unmarked, as plain bytes."""
    tests = (pat.is_binary, pat.is_large_binary, pat.is_binary_view, _is_string)
    return any(test(found) for test in tests)


def _is_string(found: pa.DataType) -> bool:
    found = found.value_type if pat.is_dictionary(found) else found
    tests = (pat.is_string, pat.is_large_string, pat.is_string_view)
    return any(test(found) for test in tests)


def _is_image_struct(found: pa.DataType) -> bool:
    """Whether this is how Hugging Face data sets store an image: struct<bytes, path>."""
    if not pat.is_struct(found):
        return False
    index = found.get_field_index("bytes")
    return index >= 0 and _is_text(found.field(index).type)


def _misfit(name: str, found: pa.DataType, wanted: str) -> str:
    return f"column {name!r} holds {str(found)[:100]}, not {wanted}"


def _largest_page(
    table: _Table, group: int, leaves: Sequence[str], stream: BinaryIO, layout: Layout
) -> int:
    """Return the unpacked bytes of the largest page to be read; raises TooLarge where over it.

    A column is known by its place in the schema, as it is to Arrow: paths in row groups may lie.
    """
    largest = 0
    for path, column in zip(table.paths, table.groups[group].columns, strict=True):
        if not any(path == leaf or path.startswith(f"{leaf}.") for leaf in leaves):
            continue
        try:
            for page in walk_pages(stream, column.start, column.end):
                _check(page.unpacked_bytes, layout.page_bytes_max, "bytes", path)
                _check(page.values, PAGE_VALUES_MAX, "values", path)
                largest = max(largest, page.unpacked_bytes)
        except (ThriftError, EOFError):
            raise _damaged(layout, group) from None
    return largest


def _check(size: int, limit: int, unit: str, column: str) -> None:
    if size > limit:
        raise TooLarge(f"a page of column {column!r}", size, limit, unit)


def _damaged(layout: Layout, group: int) -> UnreadableSource:
    return UnreadableSource(layout.uri, f"row group {group + 1} is damaged")


def _batches(
    table: _Table, group: int, leaves: list[str], largest_page: int, layout: Layout
) -> Iterator[pa.RecordBatch]:
    rows = layout.page_bytes_max // max(largest_page, 1)
    batches = table.file.iter_batches(
        batch_size=min(max(rows, 1), _BATCH_ROWS_MAX),
        row_groups=[group],
        columns=leaves,
        use_threads=False,
    )
    try:
        yield from batches
    except (pa.ArrowException, OSError):
        raise _damaged(layout, group) from None


def _rows(batch: pa.RecordBatch, first: int, layout: Layout) -> Iterator[Row]:
    ids = _plain(batch.column(layout.id_field))
    column = batch.column(layout.content_field)
    if pat.is_struct(column.type):
        contents = _struct_images(column)
    elif layout.modality == "image" and _is_string(column.type):
        contents = [value and value.decode(errors="replace") for value in _plain(column)]
    else:
        contents = _plain(column)
    columns = [ids, contents]
    if layout.pair_field is not None:
        columns.append(_plain(batch.column(layout.pair_field)))
    for line, values in enumerate(zip(*columns, strict=True), first):
        yield Row(line, *values)


def _plain(column: pa.Array) -> list[Any]:
    """Return a column's values with text as bytes: Arrow does not check that text is UTF-8."""
    plain = column.cast(pa.large_binary()) if _is_text(column.type) else column
    return list(plain.to_pylist())


def _struct_images(column: pa.StructArray) -> list[bytes | str | None]:
    """Return the bytes of each image, or the URI that stands in for them."""
    images = _plain(pc.struct_field(column, "bytes"))
    if column.type.get_field_index("path") < 0:
        return images
    paths = pc.struct_field(column, "path").to_pylist()
    return [
        path if image is None and isinstance(path, str) and "://" in path else image
        for image, path in zip(images, paths, strict=True)
    ]
