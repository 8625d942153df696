"""Errors in each protocol's own shape, whoever raises them, and keys where it puts them."""

import binascii
import json
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.gateway.problems import PROBLEM_MEDIA_TYPE
from serve_apps.gateway.schemas.base import Problem

Scheme = Literal["bearer", "basic"]

_CHALLENGES: Mapping[Scheme, str] = MappingProxyType(
    {"bearer": "Bearer", "basic": 'Basic realm="muster"'}
)


class Refusal(NamedTuple):
    """A problem as a protocol tells it: a status and a JSON body."""

    status: int
    body: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What the paths below a prefix speak; with `basic` a key may come as a Basic password."""

    prefix: str
    refusal: Callable[[Problem], Refusal]
    scheme: Scheme = "bearer"


class Dialects:
    """ASGI middleware around gate, throttle, bounds and routes, which only know problems."""

    def __init__(self, app: ASGIApp, dialects: Sequence[Dialect]) -> None:
        self._app, self._dialects = app, dialects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        path = scope["path"] if scope["type"] == "http" else ""
        spoken = next((each for each in self._dialects if _is_below(path, each.prefix)), None)
        if spoken is None:
            await self._app(scope, receive, send)
            return
        if spoken.scheme == "basic":
            scope = _with_bearer(scope)
        await self._app(scope, receive, _Translated(send, spoken))


class _Translated:
    """A `send` that holds a problem back until it is whole, and sends its translation."""

    def __init__(self, send: Send, dialect: Dialect) -> None:
        self._send, self._dialect = send, dialect
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if Headers(raw=message["headers"]).get("content-type") == PROBLEM_MEDIA_TYPE:
                self._start = message
                return
        elif self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._refuse(self._start)
            return
        await self._send(message)

    async def _refuse(self, start: Message) -> None:
        refusal = self._dialect.refusal(Problem.model_validate_json(self._body))
        body = json.dumps(refusal.body).encode()
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["content-type"] = "application/json"
        headers["content-length"] = str(len(body))
        if "www-authenticate" in headers:
            headers["www-authenticate"] = _CHALLENGES[self._dialect.scheme]
        await self._send({**start, "status": refusal.status, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def _with_bearer(scope: Scope) -> Scope:
    """Return a request whose Basic password, whoever the user, is sent as the key."""
    scheme, _, credentials = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return scope
    try:
        password = b64decode(credentials.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return scope
    others = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
    return {**scope, "headers": [*others, (b"authorization", b"Bearer " + password)]}
