"""What a job does about questions that nobody takes.

It waits a while for the workers worth most, and then takes anybody, for some time. Then audits that
were added end. Where everybody who has ever answered has answered all that is still asked, it gives
up after long: nobody does an item twice, and a small crowd has soon seen them all.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from allocation.quality.votes import Bools
from cluster.domain.ids import UnixSeconds, WorkerId
from cluster.domain.work import AnswerColumns

RELAXED_TIMES, FIRST_TIMES = 10, 10
"""How many times as long as its patience a job takes anybody, and waits for its first answer."""

GONE_S = 86_400.0
"""Who has not answered for so long, while others did, is not expected back."""

Move = Literal["wait", "relax", "end added audits", "give up"]


class Patience:
    """How long a job has waited for answers, over one spell of asking; times are in seconds."""

    def __init__(self, patience_s: float, crowd_patience_s: float, now: UnixSeconds) -> None:
        self._patience_s, self._crowd_patience_s = patience_s, crowd_patience_s
        self._answered_at, self._first = now, True
        self._relaxed_at = now
        self._answers: int | None = None

    def note_answers(self, now: UnixSeconds) -> None:
        """Note that answers came."""
        self._answered_at, self._first = now, False

    def hear(self, answers: int, now: UnixSeconds) -> None:
        """Note how many answers shards have by now, also those that nobody has read yet."""
        if self._answers not in (None, answers):
            self.note_answers(now)
        self._answers = answers

    def move(self, now: UnixSeconds, *, choosy: bool, exhausted: Callable[[], bool]) -> Move:
        """Return what to do while questions are wanted and none is out.

        `choosy` is whether only the better workers are asked now, `exhausted` tells whether nobody
        who is known can answer any of them.
        """
        waited_s = now - self._answered_at
        if waited_s < self._patience_s * (FIRST_TIMES if self._first else 1):
            return "wait"
        if choosy:
            self._relaxed_at = now
            return "relax"
        late = waited_s >= self._crowd_patience_s
        return "give up" if late and exhausted() else "end added audits"

    def recovers(self, now: UnixSeconds) -> bool:
        """Return whether anybody has been taken for long enough: better workers may be back."""
        return now - self._relaxed_at >= RELAXED_TIMES * self._patience_s


def is_exhausted(
    answers: AnswerColumns,
    paused: frozenset[WorkerId],
    *,
    labels: Bools,
    audits: Bools,
    reviewed: bool,
) -> bool:
    """Return whether all who have answered have answered all that is wanted still.

    That is every item of `labels` and `audits` (items,), for whichever purpose: nobody does both.
    Where reviewers audit, these are who has audited, and nobody else does. Those who are `paused`
    do not count, nor those who were gone for a day when the last answer came; where nobody has
    answered, nobody is exhausted.
    """
    active = np.array([worker not in paused for worker in answers.worker_ids], dtype=np.bool_)
    if not active.any():
        return False
    last = np.zeros(len(active))
    np.maximum.at(last, answers.workers, answers.answered_at)
    active &= last > last.max() - GONE_S
    heard = active[answers.workers]
    if not reviewed:
        return _all_did(answers, heard, labels | audits)
    return _all_did(answers, heard & ~answers.audit, labels) and _all_did(
        answers, heard & answers.audit, audits
    )


def _all_did(answers: AnswerColumns, kept: Bools, wanted: Bools) -> bool:
    """Return whether everybody who gave some of the `kept` answers gave one to each wanted item."""
    crowd = len(np.unique(answers.workers[kept]))
    given = np.bincount(answers.positions[kept], minlength=len(wanted))
    return bool((given[wanted] >= crowd).all()) and (crowd > 0 or not wanted.any())
