"""Rows of a job written as CSV and as an Arrow stream."""

import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

_BATCH_ROWS = 8_192
_FORMULA = r"^([=+\-@\t\r])"
"""How a cell begins that spreadsheets run as a formula (OWASP, CSV injection)."""


def csv_blocks(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """Yield rows as CSV with a header line, one block a batch.

    A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    header = True
    for batch in batches:
        yield _csv(pa.Table.from_batches([batch], schema), header=header)
        header = False
    if header:
        yield _csv(schema.empty_table(), header=True)


def arrow_blocks(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """Yield rows as an Arrow IPC stream, one block a batch."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield _taken(sink)
    yield _taken(sink)


def parquet_batches(stored: BinaryIO) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Return the schema of a Parquet file and its rows, which are read as they are asked for."""
    file = pq.ParquetFile(stored)
    return file.schema_arrow, file.iter_batches(batch_size=_BATCH_ROWS)


def closing_after(stored: BinaryIO, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks and then close what they are read from."""
    with stored:
        yield from blocks


def _csv(table: pa.Table, *, header: bool) -> bytes:
    for number, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            safe = pc.replace_substring_regex(table[field.name], _FORMULA, r"'\1")
            table = table.set_column(number, field.name, safe)
    sink = io.BytesIO()
    pa_csv.write_csv(table, sink, pa_csv.WriteOptions(include_header=header))
    return sink.getvalue()


def _taken(sink: io.BytesIO) -> bytes:
    content = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return content
