"""Bounds on request bodies, enforced on the bytes that arrive and not on what is promised."""

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.domain.access import Caller
from cluster.errors import BadInput, InvalidField, MalformedBody, SlowBody, TooLarge
from cluster.settings import Limits
from serve_apps.gateway.body_room import COMING_BYTES, BodyRoom, Share
from serve_apps.gateway.problems import problem_of, problem_response

_UNREAD = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods whose bodies no route reads."""


class BodyBounds:
    """ASGI middleware that stops a body at the limit of its path or of the folder it lies in.

    A Content-Length over the limit is refused before a byte is read; otherwise bytes are counted
    as they come, and a body longer than the limit, or shorter or longer than its Content-Length,
    raises in the route that reads it. So does one that takes too long, or finds no room among its
    tenant's; but those of `by_path` go to the store as they come, and routes see to their pace.
    """

    def __init__(self, app: ASGIApp, limits: Limits, by_path: Mapping[str, int]) -> None:
        self._app, self._bytes_max, self._by_path = app, limits.request_bytes_max, by_path
        self._timeout_s, self._room = limits.body_timeout_s, BodyRoom(limits.bodies_bytes_max)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own_limit = self._own_limit(scope["path"])
        limit = self._bytes_max if own_limit is None else own_limit
        try:
            promised = _content_length(scope)
            if promised is not None and promised > limit:
                raise TooLarge("the request body", promised, limit)
        except BadInput as error:
            await problem_response(problem_of(error, scope["path"]))(scope, receive, send)
            return
        counted = _Counted(receive, limit, promised)
        caller = scope.get("state", {}).get("caller")
        if own_limit is not None or scope["method"] in _UNREAD or not isinstance(caller, Caller):
            await self._app(scope, counted, send)
            return
        with self._room.share(caller.tenant_id) as share:
            timed = _Timed(counted, share, promised or 0, self._timeout_s)
            await self._app(scope, timed, send)

    def _own_limit(self, path: str) -> int | None:
        folder = path.rpartition("/")[0]
        return self._by_path.get(path, self._by_path.get(folder))


class _Counted:
    """A `receive` that counts."""

    def __init__(self, receive: Receive, limit: int, promised: int | None) -> None:
        self._receive, self._limit, self._promised = receive, limit, promised
        self._arrived = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        self._arrived += len(message.get("body", b""))
        if self._arrived > self._limit:
            raise TooLarge("the request body", self._arrived, self._limit)
        complete = not message.get("more_body", False)
        if complete and self._promised not in (None, self._arrived):
            raise MalformedBody(
                f"Content-Length promised {self._promised:,} bytes, {self._arrived:,} arrived"
            )
        return message


class _Timed:
    """A `receive` of a body that is read into memory: all of it within a time, and in a room."""

    def __init__(self, receive: Receive, share: Share, promised: int, timeout_s: float) -> None:
        self._receive, self._share = receive, share
        self._promised, self._timeout_s = promised, timeout_s
        self._arrived, self._complete = 0, False
        self._deadline: float | None = None

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()
        self._share.resize(max(self._arrived, self._promised, COMING_BYTES))
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._timeout_s
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise SlowBody(f"it was to be there within {self._timeout_s:g} s") from None
        self._arrived += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._complete:
            self._share.resize(self._arrived)
        return message


def _content_length(scope: Scope) -> int | None:
    text = Headers(scope=scope).get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidField("Content-Length", "is not a number of bytes")
    return int(text)
