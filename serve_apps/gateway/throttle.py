"""Keeps every key to its rate, and tells it how it stands.

The headers are those of draft-ietf-httpapi-ratelimit-headers.
"""

import math
from collections.abc import Mapping, MutableMapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.clock import Clock
from cluster.domain.access import Caller, Role
from cluster.domain.ids import KeyId
from cluster.errors import RateLimited
from cluster.settings import RateSettings
from serve_apps.gateway.buckets import Buckets, Rate, Turn
from serve_apps.gateway.problems import problem_of, problem_response

KEYS_MAX = 100_000


class Throttle:
    """ASGI middleware behind the gate: a key that calls too often is answered 429 at once.

    That is before the body is read. Requests without a key, to open paths, are not counted.
    """

    def __init__(self, app: ASGIApp, clock: Clock, settings: RateSettings) -> None:
        self._app, self._clock = app, clock
        self._rates = _rates(settings)
        self._buckets: Buckets[KeyId] = Buckets(KEYS_MAX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        caller = _caller(scope)
        if caller is None:
            await self._app(scope, receive, send)
            return
        rate = self._rates[caller.role]
        turn = self._buckets.take(caller.key_id, rate, self._clock.now())
        telling = _telling(send, caller.role, rate, turn)
        if turn.retry_after_s is None:
            await self._app(scope, receive, telling)
            return
        refusal = problem_of(
            RateLimited(f"{rate.per_s:g} requests a second", turn.retry_after_s), scope["path"]
        )
        await problem_response(refusal)(scope, receive, telling)


def _caller(scope: Scope) -> Caller | None:
    state: MutableMapping[str, object] = scope.get("state", {})
    caller = state.get("caller")
    return caller if isinstance(caller, Caller) else None


def _rates(settings: RateSettings) -> Mapping[Role, Rate]:
    client = Rate(per_s=settings.client_per_s, burst=settings.client_burst)
    worker = Rate(per_s=settings.worker_per_s, burst=settings.worker_burst)
    return {"client": client, "admin": client, "worker": worker}


def _telling(send: Send, role: Role, rate: Rate, turn: Turn) -> Send:
    """Return a `send` that adds how the key stands to the response."""

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["RateLimit-Policy"] = f'"{role}";q={rate.burst};w={math.ceil(rate.window_s)}'
            headers["RateLimit"] = f'"{role}";r={turn.left};t={math.ceil(turn.full_in_s)}'
        await send(message)

    return told
