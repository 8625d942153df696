"""How much a worker may still answer before a rest: so many answers an hour, and no more.

Shards count what they lease and take in between two looks of the campaign, each for itself. So
every partition may ask a worker its share of what is left of the hour, rounded up.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cluster.domain.ids import UnixSeconds, WorkerId
from cluster.domain.work import AnswerColumns

HOUR_S = 3_600.0

Turns = npt.NDArray[np.int64]


def tired(
    answers: AnswerColumns, now: UnixSeconds, hour_answers_max: int | None
) -> frozenset[WorkerId]:
    """Return who gave as many answers within the last hour as a worker may."""
    if hour_answers_max is None:
        return frozenset()
    worn = np.flatnonzero(_within_an_hour(answers, now) >= hour_answers_max)
    return frozenset(answers.worker_ids[worker] for worker in worn)


def turns_left(
    answers: AnswerColumns,
    worker_ids: Sequence[WorkerId],
    now: UnixSeconds,
    hour_answers_max: int | None,
) -> Turns | None:
    """Return how many more answers each worker may give now, and last anybody else, (workers + 1,).

    None where there is no limit.
    """
    if hour_answers_max is None:
        return None
    left = np.maximum(hour_answers_max - _within_an_hour(answers, now), 0)
    known = dict(zip(answers.worker_ids, left.tolist(), strict=True))
    found = [known.get(worker_id, hour_answers_max) for worker_id in worker_ids]
    return np.array([*found, hour_answers_max], dtype=np.int64)


def shared(turns: Turns | None, share: float) -> Turns | None:
    """Return what one partition may ask of each worker, given its share of the job's items."""
    return None if turns is None else np.ceil(turns * share - 1e-9).astype(np.int64)


def _within_an_hour(answers: AnswerColumns, now: UnixSeconds) -> Turns:
    recent = answers.workers[answers.answered_at > now - HOUR_S]
    return np.bincount(recent, minlength=len(answers.worker_ids))
