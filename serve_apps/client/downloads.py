"""Saves a download to a file, and goes on where it was when the connection breaks."""

from http import HTTPStatus
from pathlib import Path

from serve_apps.client.calls import Calls, Params, ServiceUnreachable

BREAKS_MAX = 5
"""How often in a row a download may break off without coming further than before."""


def save(calls: Calls, path: str, params: Params, file: Path) -> None:
    """Save a resource as a file, which appears only once it is whole.

    Raises ClientProblem where it is refused, and ServiceUnreachable where the service stays away or
    breaks off too often without coming further than before.
    """
    unfinished = file.with_name(f".{file.name}.part")
    size, furthest, etag, breaks = 0, 0, "", 0
    while True:
        wanted = {"Range": f"bytes={size}-", "If-Range": etag} if size and etag else {}
        try:
            with calls.stream(path, params, wanted) as response:
                goes_on = response.status_code == HTTPStatus.PARTIAL_CONTENT
                etag, size = response.headers.get("etag", ""), size if goes_on else 0
                with unfinished.open("ab" if goes_on else "wb") as output:
                    for block in response.iter_bytes():
                        size += output.write(block)
            break
        except ServiceUnreachable:
            breaks = breaks + 1 if size <= furthest else 0
            furthest = max(size, furthest)
            if breaks > BREAKS_MAX:
                raise
    unfinished.replace(file)
