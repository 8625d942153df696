"""Bounds on request bodies, enforced on the bytes that arrive and not on what is promised."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.errors import BadInput, InvalidField, MalformedBody, TooLarge
from serve_apps.gateway.problems import problem_of, problem_response


class BodyBounds:
    """ASGI middleware that stops a body at the limit of its path or of the folder it lies in.

    A Content-Length over the limit is refused before a byte is read; otherwise bytes are counted
    as they come, and a body longer than the limit, or shorter or longer than its Content-Length,
    raises in the route that reads it.
    """

    def __init__(self, app: ASGIApp, bytes_max: int, by_path: Mapping[str, int]) -> None:
        self._app, self._bytes_max, self._by_path = app, bytes_max, by_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        try:
            promised = _content_length(scope)
            if promised is not None and promised > limit:
                raise TooLarge("the request body", promised, limit)
        except BadInput as error:
            await problem_response(problem_of(error, scope["path"]))(scope, receive, send)
            return
        await self._app(scope, _Counted(receive, limit, promised), send)

    def _limit(self, path: str) -> int:
        folder = path.rpartition("/")[0]
        return self._by_path.get(path, self._by_path.get(folder, self._bytes_max))


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


def _content_length(scope: Scope) -> int | None:
    text = Headers(scope=scope).get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidField("Content-Length", "is not a number of bytes")
    return int(text)
