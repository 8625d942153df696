"""A body of an upload, cut into pieces of about one part, at most one of which is in memory."""

import asyncio
from collections.abc import AsyncIterator

from cluster.errors import SlowBody, TooLarge

RATE_MIN_BYTES_S = 1_024
"""What a body must bring in the long run, so that nobody holds a place by drops."""


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
        idle_s: float,
    ) -> None:
        self.ended = False
        self._what, self._body = what, body
        self._arrived, self._end_bytes = start_bytes, end_bytes
        self._part_bytes, self._idle_s = part_bytes, idle_s
        self._buffer = bytearray()

    async def fill(self) -> None:
        """Wait for a part's worth of bytes or the end.

        Raises TooLarge beyond the upload's end, SlowBody where nothing comes for the idle time or
        a part falls behind the least rate by as much, and what reading the body raises.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout_at(began + self._idle_s) as limit:
                while len(self._buffer) < self._part_bytes and await self._grow():
                    due = began + len(self._buffer) / RATE_MIN_BYTES_S
                    limit.reschedule(min(due, clock()) + self._idle_s)
        except TimeoutError:
            reason = f"nothing for {self._idle_s:g} s, or under {RATE_MIN_BYTES_S:,} bytes a second"
            raise SlowBody(reason) from None

    def take(self) -> bytes:
        """Return what is there and forget it."""
        content = bytes(self._buffer)
        self._buffer.clear()
        return content

    async def _grow(self) -> bool:
        """Take the next block in; returns False at the end."""
        block = await anext(self._body, None)
        if block is None:
            self.ended = True
            return False
        self._arrived += len(block)
        if self._arrived > self._end_bytes:
            raise TooLarge(self._what, self._arrived, self._end_bytes)
        self._buffer += block
        return True
