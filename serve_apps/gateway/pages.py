"""Cursor pages: how many rows a request may ask for, and where they start."""

from typing import Annotated

from fastapi import Query, Request

from serve_apps.gateway.access import services_of
from serve_apps.gateway.handlers import bad_parameter

LIMIT_DEFAULT = 100

Cursor = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="`next_cursor` of the page before; opaque",
    ),
]


async def limit_of(
    request: Request,
    limit: Annotated[
        int, Query(ge=1, lt=2**31, description="rows a page at most; the service may give fewer")
    ] = LIMIT_DEFAULT,
) -> int:
    """Return the page size asked for, or the service's own limit where that is smaller."""
    return min(limit, (await services_of(request)).settings.limits.page_rows_max)


def row_of(cursor: str | None) -> int:
    """Return the row a cursor stands for, 0 for none; refuses what is not a cursor."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 15):
        raise bad_parameter("query", "cursor", "is not a cursor of this list")
    return int(cursor)
