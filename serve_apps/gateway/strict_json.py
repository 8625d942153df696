"""JSON bodies as RFC 8259 has them: no NaN, no lone surrogates, bounded depth and numbers."""

from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json

from cluster.errors import MalformedBody, UnsupportedMedia

JSON = "application/json"


class StrictJsonRoute(APIRoute):
    """A route whose JSON body, if it takes one, is parsed before anything else looks at it.

    Raises UnsupportedMedia for another media type and MalformedBody, with line and column, for
    text that is not JSON; the default parser lets NaN and bad surrogates through and hides why.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of a request."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def parse_then_handle(request: Request) -> Response:
            parsed = _ParsedRequest(request.scope, request.receive)
            await parsed.parse()
            return await handle(parsed)

        return parse_then_handle


class _ParsedRequest(Request):
    async def parse(self) -> None:
        media_type = _media_type(self.headers.get("content-type", ""))
        body = await self.body()
        if media_type != JSON:
            raise UnsupportedMedia(media_type, (JSON,))
        try:
            self._json = from_json(body, allow_inf_nan=False)
        except ValueError as error:
            # The parser's words say what stands at which line and column, and no more.
            raise MalformedBody(f"not JSON: {error}") from error

    async def json(self) -> object:
        return self._json


def _media_type(header: str) -> str:
    message = Message()
    message["content-type"] = header
    return message.get_content_type() if header else ""
