"""Counts and times every request, and gives each an id by which its log lines are found."""

import re
from collections.abc import Callable
from time import perf_counter
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.logs import bound
from cluster.telemetry import catalogue as told
from cluster.telemetry.port import Telemetry
from cluster.tracing import Tracing

UNROUTED = "unrouted"
"""The route of requests that were answered before they came to one, or that have none."""

REQUEST_ID = "X-Request-Id"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_IDS = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Measured:
    """ASGI middleware around all others: nothing is answered without being counted.

    The client's own `X-Request-Id` is kept where it is short and plain, else the request gets one;
    the answer tells it. Time is measured to the head of the answer, as a stream has no other end
    than its client's patience.
    """

    def __init__(
        self, app: ASGIApp, telemetry: Telemetry, tracing: Tracing, new_id: Callable[[], str]
    ) -> None:
        self._app, self._telemetry, self._new_id = app, telemetry, new_id
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        started_at = perf_counter()
        is_told = False

        async def measured(message: Message) -> None:
            nonlocal is_told
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
                self._tell(scope, message["status"], perf_counter() - started_at)
                is_told = True
            await send(message)

        parent = Headers(scope=scope).get("traceparent")
        with (
            bound(request_id=request_id),
            self._tracing.span("request", parent, request_id=request_id) as span,
        ):
            try:
                await self._app(scope, receive, measured)
            except Exception:
                if not is_told:  # the answer of 500 is sent from further out
                    self._tell(scope, 500, perf_counter() - started_at)
                raise
            finally:
                span.name(f"{scope['method']} {_route_of(scope)}")

    def _request_id(self, scope: Scope) -> str:
        given = Headers(scope=scope).get(REQUEST_ID, "")
        return given if _IDS.fullmatch(given) else self._new_id()

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._telemetry.count(told.HTTP_REQUESTS, method=method, route=route, status=str(status))
        self._telemetry.observe(told.HTTP_SECONDS, seconds, route=route)
        reason = scope["state"].get("problem")
        if reason is not None:
            self._telemetry.count(told.HTTP_REFUSALS, reason=reason)


class ToldByServe:
    """ASGI middleware for a gateway behind Serve, which tells the id of every request by itself.

    Serve gives an id to each request that comes without one, before it comes here, and answers with
    the one it came here with. So one that `Measured` did not keep is answered as it was sent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or REQUEST_ID not in Headers(scope=scope):
            await self._app(scope, receive, send)
            return

        async def untold(message: Message) -> None:
            if message["type"] == "http.response.start":
                del MutableHeaders(scope=message)[REQUEST_ID]
            await send(message)

        await self._app(scope, receive, untold)


def _route_of(scope: Scope) -> str:
    """Return the route as the API describes it: never what the client made up."""
    route: Any = scope.get("route")
    return UNROUTED if route is None else str(route.path)
