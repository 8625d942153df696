"""Reads the rows of a source in any of its formats, one after another, in bounded memory."""

from collections.abc import Iterator
from typing import BinaryIO, assert_never

from cluster.domain.items import RejectedRow
from ingest.columns import parquet_rows
from ingest.delimited import csv_rows
from ingest.jsonl import jsonl_rows
from ingest.rows import Layout, Row


def read_rows(stream: BinaryIO, layout: Layout) -> Iterator[Row | RejectedRow]:
    """Yield every row of a source in order, or why it is none; the rest of the source goes on.

    Raises MissingColumn, UnreadableSource and TooLarge for what concerns the source as a whole.
    """
    match layout.format:
        case "jsonl":
            return jsonl_rows(stream, layout)
        case "csv":
            return csv_rows(stream, layout)
        case "parquet":
            return parquet_rows(stream, layout)
        case _:
            assert_never(layout.format)
