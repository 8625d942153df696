"""A page of results in the format that a client asks for."""

from collections.abc import Mapping
from email.message import EmailMessage
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
    """Return the format an Accept header likes best (RFC 9110, 12.5.1), JSON where it has none.

    Of formats it likes equally, the one it names first.
    """
    liked = [_liked(part) for part in accept.split(",")]
    known = [(_ACCEPTED[media], quality) for media, quality in liked if media in _ACCEPTED]
    best = max(known, key=lambda each: each[1], default=("json", 1.0))
    return best[0] if best[1] > 0.0 else "json"


def _liked(part: str) -> tuple[str, float]:
    """Return the media type of one part of an Accept header, and how much it is liked, 0 to 1."""
    message = EmailMessage()
    message["Content-Type"] = part.strip() or "*/*"
    try:
        quality = float(message["Content-Type"].params.get("q", "1"))
    except ValueError:
        quality = 1.0
    return message.get_content_type(), quality


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
