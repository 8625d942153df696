"""Stored files as downloads that can be resumed (RFC 9110, sections 13 and 14)."""

import os
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from serve_apps.gateway.etags import matches

BLOCK_BYTES = 2**20

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)


class _Part(NamedTuple):
    """The bytes from the first to the last; none where that is before the first."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


def download(
    request: Request, stored: BinaryIO, *, version: str, media_type: str, name: str
) -> Response:
    """Return a stored file, or the one range of it that a request asks for, block by block.

    `version` is part of its strong ETag: 304 for whoever has that one (If-None-Match), and where
    If-Range names another one the whole file is sent. Several ranges at once, and what is no range,
    are answered with the whole file too, as the RFC says. HEAD is answered as GET without a range,
    but for the bytes. Raises HTTPException (416) where the file has nothing of the range.
    """
    size = stored.seek(0, os.SEEK_END)
    etag = f'"{version}-{size:x}"'
    sent = {**attachment(name), "Accept-Ranges": "bytes", "ETag": etag}
    if matches(request.headers.get("if-none-match"), etag):
        stored.close()
        return Response(status_code=304, headers={"ETag": etag})
    if request.method == "HEAD":
        stored.close()
        sent["Content-Length"] = str(size)
        return Response(media_type=media_type, headers=sent)
    part = _part(request.headers, etag, size)
    if part is None:
        part, status = _Part(0, size - 1), 200
    elif part.size > 0:
        sent["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
        status = 206
    else:
        stored.close()
        raise HTTPException(416, headers={"Content-Range": f"bytes */{size}"})
    sent["Content-Length"] = str(part.size)
    blocks = _blocks(stored, part.first, part.size)
    return StreamingResponse(blocks, status_code=status, media_type=media_type, headers=sent)


def attachment(name: str) -> dict[str, str]:
    """Return the headers of what is to be saved and never shown."""
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
    }


def _part(headers: Headers, etag: str, size: int) -> _Part | None:
    """Return what a request wants of a file, None where that is all of it."""
    wanted = _RANGE.fullmatch(headers.get("range", ""))
    if wanted is None or headers.get("if-range", etag) != etag:
        return None
    first, last = wanted.groups()
    if not first:
        return _Part(max(size - int(last), 0), size - 1) if last else None
    if last and int(last) < int(first):
        return None  # such a range is none, and one that is none is ignored
    return _Part(int(first), min(int(last) if last else size - 1, size - 1))


def _blocks(stored: BinaryIO, first: int, size: int) -> Iterator[bytes]:
    with stored:
        stored.seek(first)
        while size and (block := stored.read(min(BLOCK_BYTES, size))):
            size -= len(block)
            yield block
