"""How much a worker may still answer before a rest: so many answers an hour, and no more.

Shards count what they lease and take in between two looks of the campaign, each for itself. So
every partition may ask a worker its share of what is left of the hour, rounded up. What is leased
in others does not count before it is answered: with all of it held, twice as much may come.
"""

from collections.abc import Sequence
from math import inf

import numpy as np
import numpy.typing as npt

from cluster.domain.ids import UnixSeconds, WorkerId
from cluster.domain.work import AnswerColumns

HOUR_S = 3_600.0

TOLD_EVERY_S = 60.0
"""What workers may still answer grows as their answers age: it is told anew so often."""

Turns = npt.NDArray[np.int64]


class Rests:
    """Who of a job's workers rests, and what the others may still answer, as of the last look."""

    def __init__(self, hour_answers_max: int | None) -> None:
        self._most, self._looked_at = hour_answers_max, -inf
        self.tired: frozenset[WorkerId] = frozenset()

    def look(self, answers: AnswerColumns, now: UnixSeconds) -> bool:
        """Let workers rest, or end their rest; return whether who may be asked is to be told anew.

        That is where somebody begins or ends a rest, and now and then as time passes.
        """
        if self._most is None:
            return False
        worn = np.flatnonzero(_within_an_hour(answers, now) >= self._most)
        found = frozenset(answers.worker_ids[worker] for worker in worn)
        if found == self.tired and 0.0 <= now - self._looked_at < TOLD_EVERY_S:
            return False
        self.tired, self._looked_at = found, now
        return True

    def turns(self, answers: AnswerColumns, worker_ids: Sequence[WorkerId]) -> Turns | None:
        """Return how many more answers each may give, and last anybody else, (workers + 1,).

        None where there is no limit.
        """
        if self._most is None:
            return None
        left = np.maximum(self._most - _within_an_hour(answers, self._looked_at), 0)
        known = dict(zip(answers.worker_ids, left.tolist(), strict=True))
        found = [known.get(worker_id, self._most) for worker_id in worker_ids]
        return np.array([*found, self._most], dtype=np.int64)


def shared(turns: Turns | None, share: float) -> Turns | None:
    """Return what one partition may ask of each worker, given its share of the job's items."""
    return None if turns is None else np.ceil(turns * share - 1e-9).astype(np.int64)


def _within_an_hour(answers: AnswerColumns, now: UnixSeconds) -> Turns:
    recent = answers.workers[answers.answered_at > now - HOUR_S]
    return np.bincount(recent, minlength=len(answers.worker_ids))
