"""A network that cuts one connection in the middle."""

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_BLOCK_BYTES = 16_384


@contextmanager
def cutting(
    url: str, *, up_bytes: int = 0, down_bytes: int = 0, at_cut: Callable[[], None] | None = None
) -> Iterator[str]:
    """Yield the address of a way to a server that cuts the first connection to carry so much.

    `up_bytes` counts what goes to the server, `down_bytes` what comes from it; 0 is no cut.
    """
    network = _Network(url, up_bytes, down_bytes, at_cut)
    thread = threading.Thread(target=lambda: asyncio.run(network.run()))
    thread.start()
    assert network.listening.wait(30)
    try:
        yield f"http://127.0.0.1:{network.port}"
    finally:
        network.stop()
        thread.join()


class _Network:
    port: int

    def __init__(
        self, url: str, up_bytes: int, down_bytes: int, at_cut: Callable[[], None] | None
    ) -> None:
        self._host, port = url.removeprefix("http://").split(":")
        self._port, self._left = int(port), {"up": up_bytes, "down": down_bytes}
        self._at_cut = at_cut
        self.listening = threading.Event()

    async def run(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.listening.set()
        await self._ended.wait()
        server.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            upstream_reader, upstream_writer = await asyncio.open_connection(self._host, self._port)
            ways = (
                self._pump("up", reader, upstream_writer),
                self._pump("down", upstream_reader, writer),
            )
            tasks = [asyncio.ensure_future(way) for way in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            upstream_writer.close()
        writer.close()

    async def _pump(self, way: str, reader: StreamReader, writer: StreamWriter) -> None:
        """Carry bytes until one side ends or the cut comes."""
        budget, carried = self._left[way], 0
        with suppress(OSError):
            while block := await reader.read(_BLOCK_BYTES):
                cuts = self._left[way] > 0 and carried + len(block) >= budget
                if cuts:
                    block = block[: budget - carried]
                writer.write(block)
                await writer.drain()
                carried += len(block)
                if cuts:
                    self._left[way] = 0
                    if self._at_cut is not None:
                        self._at_cut()
                    return
