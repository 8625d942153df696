"""Whose turn on the model it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

PRESSED_TURNS = 100
"""So many turns of others after an urgent one, the next urgent one is still expected."""


URGENT_IN_A_ROW_MAX = 16
"""After so many urgent turns on end one other caller is served, who would else wait for ever."""


class Turns:
    """Gives the model to one caller at a time, and to urgent callers before others.

    Bulk work takes a turn for each batch, so an online request waits for one batch at the most.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._taken = False
        self._urgent_waiting = self._others_waiting = 0
        self._urgent_in_a_row = 0
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
            self._count_waiting(1, urgent=urgent)
            self._changed.wait_for(lambda: self._may_start(urgent=urgent))
            self._count_waiting(-1, urgent=urgent)
            self._urgent_in_a_row = self._urgent_in_a_row + 1 if urgent else 0
            self._pressed_turns = PRESSED_TURNS if urgent else max(self._pressed_turns - 1, 0)
            self._taken = True
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()

    def _count_waiting(self, change: int, *, urgent: bool) -> None:
        if urgent:
            self._urgent_waiting += change
        else:
            self._others_waiting += change

    def _may_start(self, *, urgent: bool) -> bool:
        if self._taken:
            return False
        others_turn = self._others_waiting > 0 and self._urgent_in_a_row >= URGENT_IN_A_ROW_MAX
        return not others_turn if urgent else others_turn or not self._urgent_waiting
