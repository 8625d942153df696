"""Waiting for work while its owner may change their mind."""

from collections.abc import Callable
from contextvars import ContextVar
from threading import Event

import pytest

from training.heed import awaited, begun

WHOSE: ContextVar[str] = ContextVar("WHOSE", default="nobody")


class Unwanted(Exception):
    """What a look may raise."""


def looks(times: int, then: Callable[[], None]) -> Callable[[], None]:
    """Return looks of which the last does something."""
    left = iter(range(times, 0, -1))

    def heed() -> None:
        if next(left) == 1:
            then()

    return heed


def test_work_that_is_wanted_comes_to_its_end() -> None:
    ready = Event()
    WHOSE.set("mine")

    def work() -> str:
        ready.wait()
        return WHOSE.get()

    assert awaited(begun(work), looks(3, ready.set), every_s=0.001) == "mine"


def test_what_work_raises_is_raised_also_where_it_sounds_like_waiting() -> None:
    def work() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        awaited(begun(work), looks(1, lambda: None))


def test_work_that_is_not_wanted_any_more_is_left_at_once() -> None:
    ready = Event()

    def refuse() -> None:
        raise Unwanted

    going_on = begun(ready.wait)
    with pytest.raises(Unwanted):
        awaited(going_on, looks(2, refuse), every_s=0.001)

    assert not going_on.done()
    ready.set()
    assert going_on.result()
