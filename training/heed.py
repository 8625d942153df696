"""Work that takes hours for an owner who may not want it any more: whoever waits for it listens."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TypeVar

HEED_EVERY_S = 1.0
"""How often is looked whether the work is still wanted."""

Heed = Callable[[], None]
"""Returns where the work is still wanted; raises what ends it."""

T = TypeVar("T")


def unheeded() -> None:
    """Want everything to its end."""


def begun(work: Callable[[], T]) -> "Future[T]":
    """Return work that is under way on a thread of its own."""
    with_context = copy_context()
    executor = ThreadPoolExecutor(max_workers=1)
    future = executor.submit(with_context.run, work)
    executor.shutdown(wait=False)
    return future


def awaited(future: "Future[T]", heed: Heed, every_s: float = HEED_EVERY_S) -> T:
    """Return what work comes to, or raise what it does.

    Where `heed` raises before, that is raised, and the work goes on until its process ends.
    """
    while not wait([future], timeout=every_s).done:
        heed()
    return future.result()
