"""Whose turn on the model it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

PRESSED_TURNS = 100
"""So many turns of others after an urgent one, the next urgent one is still expected."""


class Turns:
    """Gives the model to one caller at a time, and to urgent callers before all others.

    Bulk work takes a turn for each batch, so an online request waits for one batch at the most.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._taken = False
        self._urgent_waiting = 0
        self._pressed_turns = 0

    @property
    def pressed(self) -> bool:
        """Whether urgent callers came lately, so that others should keep their turns short."""
        with self._changed:
            return self._pressed_turns > 0

    @contextmanager
    def take(self, *, urgent: bool) -> Iterator[None]:
        """Wait for the model and hold it within the context."""
        with self._changed:
            self._urgent_waiting += urgent
            self._changed.wait_for(lambda: self._may_start(urgent=urgent))
            self._urgent_waiting -= urgent
            self._pressed_turns = PRESSED_TURNS if urgent else max(self._pressed_turns - 1, 0)
            self._taken = True
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()

    def _may_start(self, *, urgent: bool) -> bool:
        return not self._taken and (urgent or not self._urgent_waiting)
