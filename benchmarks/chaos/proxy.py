"""A door in front of a TCP service that can be made bad: cuts, delays, refusals, torn uploads."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from threading import Thread
from typing import Any, Self

from benchmarks.chaos.nodes import free_port

BLOCK_BYTES = 65_536
HEAD_BYTES_MAX = 65_536
FULL, SLOW_DOWN = "507 Insufficient Storage", "503 Slow Down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How bad the door is; shares are of requests, and only where the service speaks HTTP.

    A torn request is sent on by half and then cut; a deaf one is sent on, but its reply is not.
    `full` refuses every upload for want of room. `down` cuts what is open and lets nobody in.
    """

    refused: float = 0.0
    torn: float = 0.0
    deaf: float = 0.0
    full: bool = False
    delay_s: float = 0.0
    down: bool = False


FAIR = Weather()


class FaultProxy:
    """Forwards connections to a port, each as the weather is when it comes; a context manager."""

    def __init__(self, to_port: int, seed: int, *, http: bool = False) -> None:
        self.port, self._to_port, self._http = free_port(), to_port, http
        self._random, self._weather = Random(seed), FAIR
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self.refused = self.torn = self.deaf = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def turn(self, weather: Weather) -> None:
        """Change the weather."""
        self._call(self._turned(weather))

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        serve: Callable[..., Coroutine[Any, Any, None]] = self._serve
        self._server = await asyncio.start_server(serve, "127.0.0.1", self.port)

    async def _turned(self, weather: Weather) -> None:
        self._weather = weather
        if weather.down:
            await self._cut()

    async def _cut(self) -> None:
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._weather.down:
            writer.transport.abort()
            return
        onward: asyncio.StreamWriter | None = None
        self._open.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            back, onward = await asyncio.open_connection("127.0.0.1", self._to_port)
            self._open.add(onward)
            if self._http:
                await self._request(reader, writer, back, onward)
            else:
                await asyncio.gather(
                    self._pump(reader, onward), self._pump(back, writer), return_exceptions=True
                )
        for end in (writer, onward):
            if end is not None:
                self._open.discard(end)
                end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while block := await reader.read(BLOCK_BYTES):
                if self._weather.delay_s:
                    await asyncio.sleep(self._weather.delay_s)
                writer.write(block)
                await writer.drain()
        finally:
            writer.close()

    async def _request(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamReader,
        onward: asyncio.StreamWriter,
    ) -> None:
        """Forward one request of HTTP/1.1 and its reply; both ends close after it."""
        head = await reader.readuntil(b"\r\n\r\n")
        weather, chance = self._weather, self._random.random()
        if weather.full and head.startswith((b"PUT", b"POST")):
            writer.write(_refusal(FULL, "InsufficientStorage"))
            return await writer.drain()
        if chance < weather.refused:
            self.refused += 1
            writer.write(_refusal(SLOW_DOWN, "SlowDown"))
            return await writer.drain()
        onward.write(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        if chance < weather.refused + weather.torn and head.startswith((b"PUT", b"POST")):
            self.torn += 1
            if b"\r\ncontent-length: 0\r\n" not in head.lower():
                sent = await reader.read(BLOCK_BYTES)
                onward.write(sent[: len(sent) // 2])
                await onward.drain()
            return None
        upload = asyncio.ensure_future(self._upload(reader, onward))
        try:
            reply = await back.read(BLOCK_BYTES)
            if (
                weather.refused + weather.torn
                <= chance
                < sum((weather.refused, weather.torn, weather.deaf))
            ):
                self.deaf += 1
                return None
            while reply:
                writer.write(_closing(reply))
                await writer.drain()
                reply = await back.read(BLOCK_BYTES)
        finally:
            upload.cancel()

    async def _upload(self, reader: asyncio.StreamReader, onward: asyncio.StreamWriter) -> None:
        while block := await reader.read(BLOCK_BYTES):
            onward.write(block)
            await onward.drain()


def _closing(reply: bytes) -> bytes:
    """Tell the client not to send another request on this connection."""
    status, separator, rest = reply.partition(b"\r\n")
    final = status.startswith(b"HTTP/") and not status.startswith(b"HTTP/1.1 100")
    return status + b"\r\nConnection: close" + separator + rest if final else reply


def _refusal(status: str, code: str) -> bytes:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>"
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
