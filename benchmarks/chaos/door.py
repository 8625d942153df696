"""One API key's way to the service: plain HTTP, and the same request again where it must be."""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from time import monotonic

import httpx

PROBLEM = "application/problem+json"
TIMEOUT_S = 30.0
GIVE_UP_S = 400.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 0.5

_TRY_LATER = frozenset(
    {
        httpx.codes.TOO_MANY_REQUESTS,
        httpx.codes.SERVICE_UNAVAILABLE,
        httpx.codes.INSUFFICIENT_STORAGE,
    }
)


class GaveUp(Exception):
    """A request had no answer for good in all the time a client waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to a request; `lost` counts the times it was sent and nobody knows what for.

    The try that was answered was sent at `sent_at` (monotonic).
    """

    sent_at: float
    status: int
    content: bytes
    headers: Mapping[str, str]
    lost: int


class Door:
    """Sends requests with one key; safe to use from many threads.

    A request is sent again, as it is, where the answer was lost (no connection, no reply, or an
    error that is no problem document, so not the service's own), where the service is busy, and
    where something inside it went wrong, which `internal_errors` counts: nothing ever should.
    """

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_S
        )
        self._pause = Event()
        self.internal_errors = 0

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Reply:
        """Ask for a resource; raises GaveUp."""
        return self._send("GET", path, params=params)

    def post(
        self, path: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Post a JSON body; raises GaveUp."""
        return self._send("POST", path, body=body, headers=headers)

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        give_up_at, wait_s, lost = monotonic() + GIVE_UP_S, FIRST_WAIT_S, 0
        while monotonic() < give_up_at:
            sent_at = monotonic()
            try:
                got = self._http.request(method, path, params=params, json=body, headers=headers)
            except httpx.TransportError:
                lost += 1
            else:
                if _is_final(got):
                    return Reply(
                        sent_at=sent_at,
                        status=got.status_code,
                        content=got.content,
                        headers=got.headers,
                        lost=lost,
                    )
                lost += 1
                self.internal_errors += _is_internal(got)
            self._pause.wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        raise GaveUp(f"{method} {path}")


def _is_final(got: httpx.Response) -> bool:
    if got.status_code in _TRY_LATER or got.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
        return False
    return got.status_code < httpx.codes.BAD_REQUEST or _is_problem(got)


def _is_internal(got: httpx.Response) -> bool:
    """Whether this is the service's own word that an error was not foreseen."""
    return got.status_code == httpx.codes.INTERNAL_SERVER_ERROR and _is_problem(got)


def _is_problem(got: httpx.Response) -> bool:
    media_type: str = got.headers.get("content-type", "")
    return media_type.startswith(PROBLEM)
