"""A body of an upload, cut into pieces of about one part, at most one of which is in memory."""

import asyncio
from collections.abc import AsyncIterator

from cluster.errors import MalformedBody, TooLarge


class Pieces:
    """The pieces of a body of `what`, which begins at a byte and may go as far as another."""

    def __init__(
        self,
        what: str,
        body: AsyncIterator[bytes],
        *,
        start_bytes: int,
        end_bytes: int,
        part_bytes: int,
        timeout_s: float,
    ) -> None:
        self.ended = False
        self._what, self._body = what, body
        self._arrived, self._end_bytes = start_bytes, end_bytes
        self._part_bytes, self._timeout_s = part_bytes, timeout_s
        self._buffer = bytearray()

    async def fill(self) -> None:
        """Wait for a part's worth of bytes or the end.

        Raises TooLarge beyond the upload's end, MalformedBody where a part takes longer than the
        time limit, and what reading the body raises.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._fill()
        except TimeoutError:
            raise MalformedBody(f"less than a part came in {self._timeout_s:g} s") from None

    def take(self) -> bytes:
        """Return what is there and forget it."""
        content = bytes(self._buffer)
        self._buffer.clear()
        return content

    async def _fill(self) -> None:
        while len(self._buffer) < self._part_bytes:
            block = await anext(self._body, None)
            if block is None:
                self.ended = True
                return
            self._arrived += len(block)
            if self._arrived > self._end_bytes:
                raise TooLarge(self._what, self._arrived, self._end_bytes)
            self._buffer += block
