"""The search for items that end the process which labels them: a crash, a hang, no memory left.

What a model raises is caught next to the model (`serve_apps.prelabel.triage`); here the process
is gone and tells nothing. So parts of the chunk are tried, and halved as long as they are lost.
"""

from collections import deque
from dataclasses import dataclass

LONE_LOSSES = 2
"""An item is held to be deadly once so many processes were lost over it alone."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Neighbouring rows of a chunk, `first` to before `end`."""

    first: int
    end: int

    @property
    def halves(self) -> "tuple[Rows, Rows]":
        """The rows as two parts."""
        middle = (self.first + self.end) // 2
        return Rows(self.first, middle), Rows(middle, self.end)


class Hunt:
    """Which rows of a chunk to try next, and which have proved deadly.

    With k deadly rows among n it takes O(k log n) processes; rows that survive cost no more than
    their work.
    """

    def __init__(self, rows: int) -> None:
        self._suspects = deque([Rows(0, rows)])
        self._lone_losses = 0
        self.deadly: tuple[int, ...] = ()

    @property
    def suspects(self) -> Rows | None:
        """The rows to try next; None at the end of the hunt."""
        return self._suspects[0] if self._suspects else None

    def survived(self) -> None:
        """Note that the rows were tried and did no harm."""
        self._suspects.popleft()
        self._lone_losses = 0

    def lost(self) -> None:
        """Note that a process was lost over the rows."""
        rows = self._suspects[0]
        if rows.end - rows.first > 1:
            self._suspects.popleft()
            self._suspects.extendleft(reversed(rows.halves))
            return
        self._lone_losses += 1
        if self._lone_losses == LONE_LOSSES:
            self.deadly = (*self.deadly, rows.first)
            self.survived()
