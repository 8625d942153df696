"""A real HTTP server for one test."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp


class AnnouncedServer(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextmanager
def serving(
    app: ASGIApp, ssl_certfile: Path | None = None, ssl_keyfile: Path | None = None
) -> Iterator[str]:
    """Serve an app on a free port of this machine and yield its URL."""
    config = uvicorn.Config(
        app, port=0, log_level="warning", ssl_certfile=ssl_certfile, ssl_keyfile=ssl_keyfile
    )
    server = AnnouncedServer(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert server.listening.wait(30)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"{'https' if ssl_certfile else 'http'}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
