"""A page of results in the format that a client asks for."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import pyarrow as pa
from fastapi import Response

from cluster.result_writer import SCHEMA
from serve_apps.gateway.formats import arrow_blocks, csv_blocks
from serve_apps.gateway.schemas.formats import MEDIA_TYPES
from serve_apps.gateway.schemas.results import ResultPage, ResultView

PageFormat = Literal["json", "jsonl", "csv", "arrow"]

_ACCEPTED: Mapping[str, PageFormat] = MappingProxyType(
    {
        "application/json": "json",
        "application/jsonl": "jsonl",
        "application/x-ndjson": "jsonl",
        "text/csv": "csv",
        "application/vnd.apache.arrow.stream": "arrow",
    }
)
_COLUMNS = pa.schema([SCHEMA.field(name) for name in ResultView.model_fields])


def format_accepted(accept: str) -> PageFormat:
    """Return the first format that an Accept header names, JSON where it names none."""
    named = (part.partition(";")[0].strip().lower() for part in accept.split(","))
    return next((_ACCEPTED[media_type] for media_type in named if media_type in _ACCEPTED), "json")


def rendered(page: ResultPage, page_format: PageFormat) -> ResultPage | Response:
    """Return a page as it is for JSON, and as a response with its cursor in a header otherwise."""
    if page_format == "json":
        return page
    headers = {"Vary": "Accept"}
    if page.next_cursor is not None:
        headers["Muster-Next-Cursor"] = page.next_cursor
    return Response(
        _content(page, page_format), headers=headers, media_type=MEDIA_TYPES[page_format]
    )


def _content(page: ResultPage, page_format: Literal["jsonl", "csv", "arrow"]) -> bytes:
    if page_format == "jsonl":
        return b"".join(result.model_dump_json().encode() + b"\n" for result in page.results)
    rows = [result.model_dump() for result in page.results]
    batches = pa.Table.from_pylist(rows, schema=_COLUMNS).to_batches()
    blocks = csv_blocks if page_format == "csv" else arrow_blocks
    return b"".join(blocks(_COLUMNS, batches))
