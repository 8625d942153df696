"""Who of a crowd is not asked any more, and why: spammers and copiers.

And who has yet to prove themselves, by settled items that are asked again: gold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from allocation.quality.collusion import rings
from allocation.quality.fusion import Truth
from allocation.quality.spam import information, spammers
from allocation.quality.votes import Bools, Floats, Votes
from cluster.domain.ids import WorkerId
from cluster.domain.work import AnswerColumns

COPIERS_GROWTH = 1.2
"""Copiers are looked for anew once there are this many times more answers than the last time."""

GOLD_ITEMS_MAX = 50
"""Gold items of a partition at a time."""

GOLD_BELIEF, GOLD_ANSWERS = 0.95, 3
"""What is believed of a label, by so many answers or more, before its item may serve as gold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why some workers are asked no more, with the figures that say so.

    Of `spam`: `answers` given and `information_ratio`, what one of them tells beside an average
    worker's. Of `copying`: `mistakes` that one of a pair made where the other was asked too, how
    many of them they `shared` and would be `expected` to, and `p_value`.
    """

    reason: Literal["spam", "copying"]
    workers: tuple[WorkerId, ...]
    evidence: Mapping[str, float]


def spamming(truth: Truth, answers: AnswerColumns) -> tuple[Finding, ...]:
    """Return a finding for each worker whose answers tell next to nothing."""
    counts = np.bincount(answers.workers, minlength=len(truth.log_confusion))
    found = np.flatnonzero(spammers(truth.log_confusion, truth.log_pooled, counts))
    ratio = information(truth.log_confusion[found]) / information(truth.log_pooled[None])
    return tuple(
        Finding(
            reason="spam",
            workers=(answers.worker_ids[worker],),
            evidence={"answers": float(counts[worker]), "information_ratio": float(told)},
        )
        for worker, told in zip(found.tolist(), ratio.tolist(), strict=True)
    )


def copying(
    votes: Votes, labels: Floats, truth: Truth, worker_ids: tuple[WorkerId, ...]
) -> tuple[Finding, ...]:
    """Return a finding for each ring of workers who copy, given items' labels (items, K)."""
    return tuple(
        Finding(
            reason="copying",
            workers=tuple(worker_ids[worker] for worker in ring.workers),
            evidence={
                "mistakes": float(ring.mistakes),
                "shared": float(ring.shared),
                "expected": ring.expected,
                "p_value": ring.p_value,
            },
        )
        for ring in rings(votes, labels.argmax(axis=1), truth.log_confusion)
    )


class Copiers:
    """The copiers `found` among a job's workers: they stay so."""

    def __init__(self) -> None:
        self.found: tuple[Finding, ...] = ()
        self._sought_at = 0

    def seek(self, answers: AnswerColumns, truth: Truth) -> None:
        """Look for more among the others, once answers have grown."""
        if len(answers) < COPIERS_GROWTH * self._sought_at:
            return
        self._sought_at = len(answers)
        items, labels = truth.log_label.shape
        votes = heard(answers, self.found, audit=False, items=items, labels=labels)
        self.found += copying(votes, truth.log_label, truth, answers.worker_ids)


def heard(
    answers: AnswerColumns, findings: Sequence[Finding], *, audit: bool, items: int, labels: int
) -> Votes:
    """Return the votes of one kind that count: those of all of whom nothing was found."""
    kept = answers.audit == audit
    if findings:
        silenced = {worker for found in findings for worker in found.workers}
        silent = np.array([worker in silenced for worker in answers.worker_ids])
        kept = kept & ~silent[answers.workers]
    return Votes(
        items=answers.positions[kept],
        workers=answers.workers[kept],
        labels=answers.labels[kept],
        n_items=items,
        n_workers=max(len(answers.worker_ids), 1),
        n_labels=labels,
    )


def settled(truth: Truth, answers: npt.NDArray[np.int32]) -> Bools:
    """Return the items sure enough to test workers with, given their counts of answers (items,)."""
    sure = truth.log_label.max(axis=1) >= np.log(GOLD_BELIEF)
    return np.asarray(sure & (answers >= GOLD_ANSWERS))


def proven(answers: AnswerColumns, gold: Bools, gold_answers: int) -> frozenset[WorkerId]:
    """Return who has answered so many gold items, whether or not they were gold by then.

    Nobody where there is no gold: then there is nothing to prove.
    """
    if not gold.any():
        return frozenset()
    tested = answers.workers[gold[answers.positions] & ~answers.audit]
    counts = np.bincount(tested, minlength=len(answers.worker_ids))
    return frozenset(
        answers.worker_ids[worker] for worker in np.flatnonzero(counts >= gold_answers)
    )
