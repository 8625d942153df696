"""Work on threads whose results come in the order of their inputs."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def map_in_order(
    function: Callable[[_In], _Out],
    items: Iterable[_In],
    threads: int,
    ahead: int,
    *,
    size: Callable[[_In], int] = lambda _: 0,
    size_max: int = 0,
) -> Iterator[_Out]:
    """Yield `function` of each item in order, with at most `ahead` items taken and not yielded.

    More than one are taken only while their sizes come to at most `size_max`. What the function
    raises is raised where its result would have been.
    """
    waiting: deque[tuple[Future[_Out], int]] = deque()
    held = 0
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append((pool.submit(function, item), size(item)))
            held += waiting[-1][1]
            while waiting and (len(waiting) >= ahead or held > size_max or waiting[0][0].done()):
                first, taken = waiting.popleft()
                held -= taken
                yield first.result()
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        pool.shutdown(cancel_futures=True)
