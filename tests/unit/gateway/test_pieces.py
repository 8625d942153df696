"""The pace at which a body of an upload must come: not fast, but not by drops either."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from cluster.errors import SlowBody
from serve_apps.gateway.pieces import RATE_MIN_BYTES_S, Pieces

IDLE_S = 60.0
PART_BYTES = 4 * 2**20


class ToldTime(asyncio.SelectorEventLoop):
    """A loop on which time passes as a test says."""

    now = 0.0

    def time(self) -> float:
        return self.now


def received(*steps: tuple[float, bytes]) -> bytes:
    """Return what a part holds whose blocks come after so many seconds each."""

    async def body(loop: ToldTime) -> AsyncIterator[bytes]:
        for seconds, block in steps:
            loop.now += seconds
            for _ in range(3):  # whatever is due by then happens first
                await asyncio.sleep(0)
            yield block

    with asyncio.Runner(loop_factory=ToldTime) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, ToldTime)
        pieces = Pieces(
            "the upload",
            body(loop),
            start_bytes=0,
            end_bytes=2 * PART_BYTES,
            part_bytes=PART_BYTES,
            idle_s=IDLE_S,
        )
        runner.run(pieces.fill())
    return pieces.take()


def test_a_part_may_take_long_as_long_as_it_goes_on() -> None:
    # Given a mobile network that brings 20 kB a second, some of them late
    steps = [(50.0, bytes(20_000 * 50))] * 5
    # Then a part of 4 MiB comes, in more than three minutes
    assert len(received(*steps)) == 5 * 20_000 * 50


def test_whoever_falls_silent_is_ended() -> None:
    with pytest.raises(SlowBody, match="nothing for 60 s"):
        received((1.0, bytes(10**6)), (IDLE_S + 0.1, b"x"))


def test_whoever_sends_by_drops_is_ended() -> None:
    # Given a client that sends half of the least rate, and never is silent
    steps = [(1.0, bytes(RATE_MIN_BYTES_S // 2))] * 300
    # Then it is ended once it is an idle time behind
    with pytest.raises(SlowBody, match="under 1,024 bytes a second"):
        received(*steps)
    assert received(*steps[:100], (0.0, bytes(PART_BYTES)))
