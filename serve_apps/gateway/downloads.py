"""Stored files as downloads that can be resumed (RFC 9110, section 14)."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

BLOCK_BYTES = 2**20

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def download(
    stored: BinaryIO, headers: Mapping[str, str], *, version: str, media_type: str, name: str
) -> Response:
    """Return a stored file, or the one range of it that a request asks for, block by block.

    `version` is part of its strong ETag; where If-Range names another one the whole file is sent.
    Several ranges at once are answered with the whole file too, as the RFC allows. Raises
    HTTPException (416) where the file has nothing of the range.
    """
    size = stored.seek(0, os.SEEK_END)
    etag = f'"{version}-{size:x}"'
    sent = {**attachment(name), "Accept-Ranges": "bytes", "ETag": etag}
    wanted = _RANGE.fullmatch(headers.get("range", ""))
    if wanted is None or headers.get("if-range", etag) != etag:
        first, last, status = 0, size - 1, 200
    else:
        first, last = _bounds(wanted[1], wanted[2], size)
        if first > last:
            stored.close()
            raise HTTPException(416, headers={"Content-Range": f"bytes */{size}"})
        sent["Content-Range"] = f"bytes {first}-{last}/{size}"
        status = 206
    sent["Content-Length"] = str(last - first + 1)
    blocks = _blocks(stored, first, last - first + 1)
    return StreamingResponse(blocks, status_code=status, media_type=media_type, headers=sent)


def attachment(name: str) -> dict[str, str]:
    """Return the headers of what is to be saved and never shown."""
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
    }


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """Return the first and the last byte of a range; the first is beyond the last of an empty."""
    if first:
        return int(first), min(int(last) if last else size - 1, size - 1)
    return (max(size - int(last), 0) if last else size), size - 1


def _blocks(stored: BinaryIO, first: int, size: int) -> Iterator[bytes]:
    with stored:
        stored.seek(first)
        while size and (block := stored.read(min(BLOCK_BYTES, size))):
            size -= len(block)
            yield block
