import asyncio
from collections.abc import Sequence

import pytest

from allocation.combining import Combiner


class Recorder:
    """Doubles numbers, one batch at a time, and holds every batch until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started, self.go = asyncio.Event(), asyncio.Event()

    async def serve(self, asked: Sequence[int]) -> list[int]:
        self.batches.append(list(asked))
        self.started.set()
        await self.go.wait()
        if -1 in asked:
            raise ValueError("a bad batch")
        return [2 * number for number in asked]


async def behind_a_first(
    recorder: Recorder, numbers: Sequence[int]
) -> tuple[int, list[int | BaseException]]:
    """Call with 1, with the others once that one is being served, and let all go."""
    combiner = Combiner(recorder.serve)
    first = asyncio.create_task(combiner.call(1))
    await recorder.started.wait()
    rest = asyncio.gather(*map(combiner.call, numbers), return_exceptions=True)
    await asyncio.sleep(0)
    recorder.go.set()
    return await first, await rest


def test_callers_that_wait_together_are_served_together() -> None:
    async def run() -> None:
        recorder = Recorder()

        assert await behind_a_first(recorder, [2, 3, 4]) == (2, [4, 6, 8])
        assert recorder.batches == [[1], [2, 3, 4]]

    asyncio.run(run())


def test_an_error_reaches_one_caller_and_the_others_are_served_again() -> None:
    async def run() -> None:
        recorder = Recorder()

        first, rest = await behind_a_first(recorder, [2, -1, 4])

        assert first == 2
        assert [isinstance(found, ValueError) for found in rest] == [True, True, False]
        assert rest[2] == 8
        assert recorder.batches == [[1], [2, -1, 4], [-1, 4], [4]]

    asyncio.run(run())


def test_a_caller_that_is_gone_does_not_stop_the_others() -> None:
    async def run() -> None:
        recorder = Recorder()
        combiner = Combiner(recorder.serve)
        gone, waits = (asyncio.create_task(combiner.call(number)) for number in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        recorder.go.set()

        assert await waits == 4
        assert await combiner.call(3) == 6

    asyncio.run(run())


def test_a_single_caller_needs_nobody() -> None:
    async def run() -> None:
        recorder = Recorder()
        recorder.go.set()
        combiner = Combiner(recorder.serve)

        assert [await combiner.call(number) for number in (1, 2)] == [2, 4]
        with pytest.raises(ValueError, match="a bad batch"):
            await combiner.call(-1)

    asyncio.run(run())
