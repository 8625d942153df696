"""How long an answer of each worker takes, as far as their answers tell."""

from collections.abc import Sequence

import numpy as np

from allocation.ports import Floats
from cluster.domain.ids import WorkerId
from cluster.domain.work import AnswerColumns

ANSWER_S = 10.0
"""What an answer takes where none has told."""

ANSWERS_BEFORE = 4.0
"""Answers as long as the crowd's median that everybody is taken to have given before."""

LONG = 10.0
"""Nothing counts for more than so many medians: somebody went for lunch."""


def seconds_of(answers: AnswerColumns, worker_ids: Sequence[WorkerId]) -> Floats:
    """Return the seconds an answer of each worker takes, and last of anybody else, (workers + 1,).

    Answers without a duration tell nothing.
    """
    told = answers.durations_s > 0.0
    if not told.any():
        return np.full(len(worker_ids) + 1, ANSWER_S, dtype=np.float32)
    median = float(np.median(answers.durations_s[told]))
    taken = np.minimum(answers.durations_s[told], LONG * median)
    rows, known = answers.workers[told], len(answers.worker_ids)
    total = np.bincount(rows, weights=taken, minlength=known) + ANSWERS_BEFORE * median
    each = total / (np.bincount(rows, minlength=known) + ANSWERS_BEFORE)
    by_worker = dict(zip(answers.worker_ids, each.tolist(), strict=True))
    found = [by_worker.get(worker_id, median) for worker_id in worker_ids]
    return np.array([*found, median], dtype=np.float32)
