"""The calls of `serve_apps.client.calls` on an event loop."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import httpx
from pydantic import BaseModel

from serve_apps.client.calls import (
    CURSOR_PAGE_ROWS,
    JSON_HEADERS,
    Attempts,
    Params,
    Reply,
    Retries,
    ServiceUnreachable,
    change_of,
    json_of,
)


class AsyncCalls:
    """One service's HTTP, with bounded retries; every method raises ClientError."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        retries: Retries,
        wait: Callable[[float], Awaitable[object]],
    ) -> None:
        self._http, self._retries, self._wait = http, retries, wait

    async def get(self, reply: type[Reply], path: str, params: Params | None = None) -> Reply:
        """Return what a resource holds."""
        response = await self.send("GET", path, params=params)
        return reply.model_validate_json(response.content)

    async def post(
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
        response = await self.send(
            "POST", path, body=json_of(request), headers=sent, repeatable=repeatable
        )
        return reply.model_validate_json(response.content)

    async def patch(
        self, reply: type[Reply], path: str, change: BaseModel, headers: Mapping[str, str]
    ) -> Reply:
        """Send the fields that a change names and return what has become of the resource."""
        sent = {**JSON_HEADERS, **headers}
        response = await self.send("PATCH", path, body=change_of(change), headers=sent)
        return reply.model_validate_json(response.content)

    async def pages(self, reply: type[Reply], path: str) -> AsyncIterator[Reply]:
        """Yield the pages of a list that ends, following `next_cursor`."""
        params: dict[str, str | int] = {"limit": CURSOR_PAGE_ROWS}
        while True:
            page = await self.get(reply, path, params)
            yield page
            cursor = getattr(page, "next_cursor", None)
            if cursor is None:
                return
            params["cursor"] = cursor

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Open a download; raises ServiceUnreachable also where it breaks off."""
        response = await self.send("GET", path, params=params, headers=headers, streamed=True)
        try:
            yield response
        except httpx.TransportError as error:
            raise ServiceUnreachable(str(self._http.base_url), 1) from error
        finally:
            await response.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
        streamed: bool = False,
    ) -> httpx.Response:
        """Send a request until it is answered for good and return the successful response."""
        attempts = Attempts(self._retries, str(self._http.base_url), repeatable=repeatable)
        while True:
            request = self._http.build_request(
                method, path, params=params, content=body, headers=headers
            )
            response = await self._answer(request, attempts, streamed=streamed)
            if attempts.settled_by(response):
                return attempts.outcome(response)
            await self._wait(attempts.wait_s())

    async def _answer(
        self, request: httpx.Request, attempts: Attempts, *, streamed: bool
    ) -> httpx.Response | None:
        """Return the answer to one attempt, None where there was none and another is allowed."""
        try:
            response = await self._http.send(request, stream=True)
            if not (streamed and response.is_success):
                await response.aread()
        except httpx.TransportError as error:
            attempts.broken(error)
            return None
        return response
