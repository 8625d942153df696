"""Sends requests, repeats those that are safe to repeat, and turns refusals into errors.

ClientError
├── ClientProblem         the service refused: it carries the problem document
└── ServiceUnreachable    nobody answered, also not after the retries
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from serve_apps.gateway.schemas.base import Problem

PROBLEM_MEDIA_TYPE = "application/problem+json"
CURSOR_PAGE_ROWS = 1_000

Params = Mapping[str, str | int]
Body = bytes | Callable[[], Iterable[bytes]]
"""A request body, or a function that reads it anew for every attempt."""

Reply = TypeVar("Reply", bound=BaseModel)

# Sent to somebody who then said no, or never sent at all: repeating cannot do a thing twice.
_NOT_DONE = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
# A proxy lost its server: what was asked for may have been done.
_UNKNOWN = frozenset(
    {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
)


class ClientError(Exception):
    """Base of what a call can raise."""


class ClientProblem(ClientError):
    """The service refused a request; `problem` is its problem document (RFC 9457)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title} ({problem.status}): {problem.detail}")
        self.problem = problem


class ServiceUnreachable(ClientError):
    """The service gave no answer."""

    def __init__(self, url: str, attempts: int) -> None:
        super().__init__(f"no answer from {url} after {attempts} attempts")
        self.url, self.attempts = url, attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often a call is tried, and how long is waited in between.

    Waits double from `first_wait_s` up to `wait_max_s`, each scaled by a random factor in
    [0.5, 1) so that clients do not return together; a Retry-After of the service goes before
    them, up to `retry_after_max_s`.
    """

    attempts: int = 8
    first_wait_s: float = 0.25
    wait_max_s: float = 5.0
    retry_after_max_s: float = 60.0

    def wait_s(self, attempt: int, retry_after: str | None, fraction: float) -> float:
        """Return how long to wait after the given attempt, counted from 0."""
        if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
            return min(float(retry_after), self.retry_after_max_s)
        return min(self.first_wait_s * 2.0**attempt, self.wait_max_s) * (0.5 + fraction / 2)


class Attempts:
    """The attempts at one call: when it is answered for good, and when to try again.

    A request that is not `repeatable` is sent again only where it cannot have been done.
    """

    def __init__(self, retries: Retries, url: str, *, repeatable: bool) -> None:
        self._retries, self._url, self.repeatable = retries, url, repeatable
        self._made = 0
        self._retry_after: str | None = None

    def settled_by(self, response: httpx.Response | None) -> bool:
        """Take in the answer to an attempt, None for none; tell whether there is to be no other."""
        self._made += 1
        self._retry_after = None if response is None else response.headers.get("retry-after")
        again = response is None or _worth_repeating(response, repeatable=self.repeatable)
        return not again or self._made >= self._retries.attempts

    def wait_s(self) -> float:
        """Return how long to wait before the next attempt."""
        fraction = secrets.SystemRandom().random()
        return self._retries.wait_s(self._made - 1, self._retry_after, fraction)

    def outcome(self, response: httpx.Response | None) -> httpx.Response:
        """Return the answer that settled the call, if it is a good one; raises ClientError."""
        if response is None:
            raise ServiceUnreachable(self._url, self._made)
        return _accepted(response)

    def broken(self, error: httpx.TransportError) -> None:
        """Take in that an attempt broke; raises ServiceUnreachable where it must be the last."""
        never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        if not (never_sent or self.repeatable):
            raise ServiceUnreachable(self._url, 1) from error


def json_of(request: BaseModel | None) -> bytes:
    """Return a request as a body; fields that are None are left out."""
    return b"" if request is None else request.model_dump_json(exclude_none=True).encode()


def change_of(request: BaseModel) -> bytes:
    """Return a change as a body: the fields that were given, also those that are None."""
    return request.model_dump_json(exclude_unset=True).encode()


JSON_HEADERS: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})


class Calls:
    """One service's HTTP, with bounded retries; every method raises ClientError."""

    def __init__(self, http: httpx.Client, retries: Retries, wait: Callable[[float], None]) -> None:
        self._http, self._retries, self._wait = http, retries, wait

    def get(self, reply: type[Reply], path: str, params: Params | None = None) -> Reply:
        """Return what a resource holds."""
        return reply.model_validate_json(self.send("GET", path, params=params).content)

    def post(
        self,
        reply: type[Reply],
        path: str,
        request: BaseModel | None,
        *,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> Reply:
        """Post a request and return the reply."""
        sent = {**JSON_HEADERS, **(headers or {})}
        response = self.send(
            "POST", path, body=json_of(request), headers=sent, repeatable=repeatable
        )
        return reply.model_validate_json(response.content)

    def patch(
        self, reply: type[Reply], path: str, change: BaseModel, headers: Mapping[str, str]
    ) -> Reply:
        """Send the fields that a change names and return what has become of the resource."""
        sent = {**JSON_HEADERS, **headers}
        response = self.send("PATCH", path, body=change_of(change), headers=sent)
        return reply.model_validate_json(response.content)

    def pages(self, reply: type[Reply], path: str) -> Iterator[Reply]:
        """Yield the pages of a list that ends, following `next_cursor`."""
        params: dict[str, str | int] = {"limit": CURSOR_PAGE_ROWS}
        while True:
            page = self.get(reply, path, params)
            yield page
            cursor = getattr(page, "next_cursor", None)
            if cursor is None:
                return
            params["cursor"] = cursor

    @contextmanager
    def stream(
        self, path: str, params: Params | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[httpx.Response]:
        """Open a download; raises ServiceUnreachable also where it breaks off."""
        response = self.send("GET", path, params=params, headers=headers, streamed=True)
        try:
            yield response
        except httpx.TransportError as error:
            raise ServiceUnreachable(str(self._http.base_url), 1) from error
        finally:
            response.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
        streamed: bool = False,
    ) -> httpx.Response:
        """Send a request until it is answered for good and return the successful response.

        A request that is not `repeatable` is sent again only where it cannot have been done.
        """
        attempts = Attempts(self._retries, str(self._http.base_url), repeatable=repeatable)
        while True:
            request = self._http.build_request(
                method,
                path,
                params=params,
                content=body() if callable(body) else body,
                headers=headers,
            )
            response = self._answer(request, attempts, streamed=streamed)
            if attempts.settled_by(response):
                return attempts.outcome(response)
            self._wait(attempts.wait_s())

    def _answer(
        self, request: httpx.Request, attempts: Attempts, *, streamed: bool
    ) -> httpx.Response | None:
        """Return the answer to one attempt, None where there was none and another is allowed."""
        try:
            response = self._http.send(request, stream=True)
            if not (streamed and response.is_success):
                response.read()
        except httpx.TransportError as error:
            attempts.broken(error)
            return None
        return response


def _worth_repeating(response: httpx.Response, *, repeatable: bool) -> bool:
    if response.status_code in _NOT_DONE:
        return True
    if response.status_code == HTTPStatus.NOT_FOUND and not _is_problem(response):
        return True  # a proxy that knows no gateway yet; Muster itself says what is not found
    return repeatable and response.status_code in _UNKNOWN and not _is_problem(response)


def _is_problem(response: httpx.Response) -> bool:
    return str(response.headers.get("content-type", "")).startswith(PROBLEM_MEDIA_TYPE)


def _accepted(response: httpx.Response) -> httpx.Response:
    """Return a successful response; raises ClientProblem for any other."""
    if response.is_success:
        return response
    if _is_problem(response):
        try:
            raise ClientProblem(Problem.model_validate_json(response.content))
        except ValidationError:
            pass
    raise ClientProblem(
        Problem(
            type="about:blank",
            title=response.reason_phrase or "HTTP error",
            status=response.status_code,
            detail=response.text[:500] or "the response has no body",
        )
    )
