"""What tus asks of every answer about an upload, problems among them."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.gateway.tus import VERSION

_METHODS = frozenset({"PATCH", "DELETE"})


class TusAnswers:
    """ASGI middleware that names the version in answers below a folder of paths.

    It also lets X-HTTP-Method-Override name the methods that some networks do not let through.
    """

    def __init__(self, app: ASGIApp, folder: str) -> None:
        self._app, self._folder = app, folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not scope["path"].startswith(self._folder):
            await self._app(scope, receive, send)
            return
        override = Headers(scope=scope).get("x-http-method-override")
        if scope["method"] == "POST" and override in _METHODS:
            scope = {**scope, "method": override}

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Tus-Resumable"] = headers["Tus-Version"] = VERSION
            await send(message)

        await self._app(scope, receive, named)
