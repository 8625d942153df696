"""Sends a large file in pieces (tus 1.0.0), and goes on where it was when the connection breaks."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType

from serve_apps.client.calls import Calls, ClientProblem, ServiceUnreachable
from serve_apps.gateway.schemas.uploads import UploadView

PIECE_BYTES = 64 * 2**20
BLOCK_BYTES = 2**20
STALLS_MAX = 5
"""How often in a row a piece may break off without a byte of it being stored."""

TUS_HEADERS: Mapping[str, str] = MappingProxyType({"Tus-Resumable": "1.0.0"})
_GO_ON_AFTER = frozenset(
    {
        HTTPStatus.CONFLICT,
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""What a broken piece ends with; a proxy whose gateway has died answers 500, 502 or 504."""


def upload_in_pieces(calls: Calls, file: Path, piece_bytes: int = PIECE_BYTES) -> UploadView:
    """Store a file for a job to read.

    Raises ClientProblem where it is refused, and ServiceUnreachable where the service stays away or
    breaks off too often without taking anything.
    """
    size = file.stat().st_size
    headers = {**TUS_HEADERS, "Upload-Length": str(size)}
    created = calls.send("POST", "/v1/uploads", headers=headers, repeatable=False)
    view = UploadView.model_validate_json(created.content)
    url, offset, stalls = f"/v1/uploads/{view.id}", 0, 0
    while offset < size:
        last = min(offset + piece_bytes, size)
        try:
            reached = _send(calls, url, file, offset, last)
        except (ClientProblem, ServiceUnreachable) as broken:
            if isinstance(broken, ClientProblem) and broken.problem.status not in _GO_ON_AFTER:
                raise
            reached = int(calls.send("HEAD", url, headers=TUS_HEADERS).headers["upload-offset"])
            stalls = stalls + 1 if reached <= offset else 0
            if stalls > STALLS_MAX:
                raise
        offset = reached
    return view.model_copy(update={"size_bytes": size})


def _send(calls: Calls, url: str, file: Path, first: int, last: int) -> int:
    """Send the bytes from `first` up to `last` and return how far the upload has come."""
    headers = {
        **TUS_HEADERS,
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(last - first),
        "Upload-Offset": str(first),
    }
    sent = calls.send(
        "PATCH",
        url,
        body=lambda: blocks(file, first, last),
        headers=headers,
        repeatable=False,
    )
    return int(sent.headers["upload-offset"])


def blocks(file: Path, first: int, last: int) -> Iterator[bytes]:
    """Yield the bytes of a file from `first` up to `last`."""
    with file.open("rb") as source:
        source.seek(first)
        while first < last and (block := source.read(min(BLOCK_BYTES, last - first))):
            first += len(block)
            yield block
