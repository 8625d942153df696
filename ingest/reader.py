"""Reads the rows of a source in any of its formats, one after another, in bounded memory."""

from collections.abc import Iterator
from typing import BinaryIO, assert_never

from cluster.domain.items import RejectedRow
from ingest.blocks import UnreadBlock, blocks_of
from ingest.columns import parquet_blocks, parquet_rows
from ingest.delimited import csv_rows
from ingest.jsonl import jsonl_rows
from ingest.jsonl_blocks import jsonl_blocks
from ingest.manifests import manifest_rows
from ingest.openai_batch import request_rows
from ingest.rows import Layout, Place, Row


def read_blocks(stream: BinaryIO, layout: Layout, place: Place) -> Iterator[UnreadBlock]:
    """Yield every row of a source from a place on, or why it is none, in blocks and in order.

    Raises MissingColumn, UnreadableSource and TooLarge for what concerns the source as a whole.
    """
    if layout.modality == "image":
        return blocks_of(_read_rows(stream, layout), place.line, rows_max=1)
    match layout.format:
        case "jsonl":
            return jsonl_blocks(stream, layout, place)
        case "csv":
            return blocks_of(csv_rows(stream, layout), place.line)
        case "parquet":
            return parquet_blocks(stream, layout, place)
        case "openai-batch" | "manifest":
            return blocks_of(_read_rows(stream, layout), place.line)
        case _:
            assert_never(layout.format)


def _read_rows(stream: BinaryIO, layout: Layout) -> Iterator[Row | RejectedRow]:
    match layout.format:
        case "jsonl":
            return jsonl_rows(stream, layout)
        case "csv":
            return csv_rows(stream, layout)
        case "parquet":
            return parquet_rows(stream, layout)
        case "openai-batch":
            return request_rows(stream, layout)
        case "manifest":
            return manifest_rows(stream, layout)
        case _:
            assert_never(layout.format)
