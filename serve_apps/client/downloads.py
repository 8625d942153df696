"""Saves a download to a file, and goes on where it was when the connection breaks."""

import secrets
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from serve_apps.client.calls import Calls, Params, Retries, ServiceUnreachable

BREAKS_MAX = 5
"""How often in a row a download may break off without coming further than before."""


def save(
    calls: Calls,
    path: str,
    params: Params,
    file: Path,
    wait: Callable[[float], object],
    retries: Retries,
) -> None:
    """Save a resource as a file, which appears only once it is whole.

    Between attempts that break off it waits, longer where nothing more has come. Raises
    ClientProblem where it is refused, and ServiceUnreachable where the service stays away or breaks
    off too often without coming further than before; nothing of it is left then.
    """
    unfinished = file.with_name(f".{file.name}.part")
    try:
        _complete(calls, path, params, unfinished, wait, retries)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _complete(
    calls: Calls,
    path: str,
    params: Params,
    unfinished: Path,
    wait: Callable[[float], object],
    retries: Retries,
) -> None:
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
        except ServiceUnreachable:
            breaks = breaks + 1 if size <= furthest else 0
            furthest = max(size, furthest)
            if breaks > BREAKS_MAX:
                raise
            wait(retries.wait_s(breaks, None, secrets.SystemRandom().random()))
        else:
            return
