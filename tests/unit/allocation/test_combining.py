from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from allocation.combining import Combiner


class Recorder:
    """Doubles numbers, one batch at a time, and holds the first batch until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started, self.go = Event(), Event()

    def serve(self, asked: Sequence[int]) -> list[int]:
        self.batches.append(list(asked))
        self.started.set()
        assert self.go.wait(10)
        if -1 in asked:
            raise ValueError("a bad batch")
        return [2 * number for number in asked]


def waiting(combiner: Combiner[int, int], count: int) -> bool:
    return len(combiner._waiting) == count


def submit_behind(
    pool: ThreadPoolExecutor, combiner: Combiner[int, int], numbers: Sequence[int]
) -> list[Future[int]]:
    """Queue requests while the first batch is held, one after the other."""
    futures = []
    for nth, number in enumerate(numbers, start=1):
        futures.append(pool.submit(combiner.call, number))
        while not waiting(combiner, nth):
            assert not futures[-1].done()
    return futures


def test_callers_that_wait_together_are_served_together() -> None:
    recorder = Recorder()
    combiner = Combiner(recorder.serve)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(combiner.call, 1)
        assert recorder.started.wait(10)
        rest = submit_behind(pool, combiner, [2, 3, 4])
        recorder.go.set()

        assert first.result(10) == 2
        assert [found.result(10) for found in rest] == [4, 6, 8]
    assert recorder.batches == [[1], [2, 3, 4]]


def test_an_error_reaches_one_caller_and_the_others_are_served_again() -> None:
    recorder = Recorder()
    combiner = Combiner(recorder.serve)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(combiner.call, 1)
        assert recorder.started.wait(10)
        rest = submit_behind(pool, combiner, [2, -1, 4])
        recorder.go.set()

        assert first.result(10) == 2
        errors = [found.exception(10) for found in rest]
    failed = [error for error in errors if error is not None]
    assert all(isinstance(error, ValueError) for error in failed)
    assert errors[1] is not None
    assert 1 <= len(failed) <= 2


def test_a_single_caller_needs_nobody() -> None:
    recorder = Recorder()
    recorder.go.set()
    combiner = Combiner(recorder.serve)

    assert [combiner.call(number) for number in (1, 2)] == [2, 4]
    with pytest.raises(ValueError, match="a bad batch"):
        combiner.call(-1)
