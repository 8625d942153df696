"""The gate before every route: no key, no entry, not even to learn that a route exists."""

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from cluster.domain.access import Caller
from cluster.errors import MusterError
from serve_apps.gateway.keys import presented_key
from serve_apps.gateway.known_keys import KnownKeys
from serve_apps.gateway.problems import problem_of, problem_response

OPEN_PATHS = frozenset({"/v1/health", "/healthz", "/readyz", "/openapi.json"})
"""The only paths that answer without a key."""


class KeyGate:
    """ASGI middleware that puts the Caller into `scope["state"]` or answers with a problem.

    It stands before the body is read, so that a stranger cannot make the service parse anything.
    """

    def __init__(self, app: ASGIApp, keys: KnownKeys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            authorization = Headers(scope=scope).get("authorization")
            try:
                caller = await self._caller(authorization)
            except MusterError as error:
                refusal = problem_response(problem_of(error, scope["path"]))
                await refusal(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)

    async def _caller(self, authorization: str | None) -> Caller:
        key = presented_key(authorization)
        record = self._keys.recall(key.key_id)
        if record is None:
            record = await run_in_threadpool(self._keys.find, key.key_id)
        return key.caller(record)
