"""Work on threads whose results come in the order of their inputs."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Abandoned(Exception):
    """Nobody waits any more for what is being worked on."""


class Watch:
    """What is looked at while results are waited for: `look` is called every `every_s` seconds.

    What it raises ends the work. A function that takes long calls `heed`, so that it ends, too.
    """

    def __init__(self, look: Callable[[], None], every_s: float) -> None:
        self._look, self._every_s, self._ended = look, every_s, Event()

    def heed(self) -> None:
        """Raise Abandoned once the work has ended; for many threads."""
        if self._ended.is_set():
            raise Abandoned

    def end(self) -> None:
        """Say that no further result is waited for."""
        self._ended.set()

    def await_done(self, future: Future[_Out]) -> _Out:
        """Return a result, or raise what its function raised; raises also what `look` raises."""
        while not wait([future], self._every_s).done:
            self._look()
        return future.result()


def map_in_order(
    function: Callable[[_In], _Out],
    items: Iterable[_In],
    threads: int,
    ahead: int,
    *,
    size: Callable[[_In], int] = lambda _: 0,
    size_max: int = 0,
    watch: Watch | None = None,
) -> Iterator[_Out]:
    """Yield `function` of each item in order, with at most `ahead` items taken and not yielded.

    More than one are taken only while their sizes come to at most `size_max`. What the function
    raises is raised where its result would have been, and what the `watch` raises at once.
    """
    waiting: deque[tuple[Future[_Out], int]] = deque()
    held = 0

    def result(future: Future[_Out]) -> _Out:
        return future.result() if watch is None else watch.await_done(future)

    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append((pool.submit(function, item), size(item)))
            held += waiting[-1][1]
            while waiting and (len(waiting) >= ahead or held > size_max or waiting[0][0].done()):
                first, taken = waiting.popleft()
                held -= taken
                yield result(first)
        while waiting:
            yield result(waiting.popleft()[0])
    finally:
        if watch is not None:
            watch.end()
        pool.shutdown(cancel_futures=True)
