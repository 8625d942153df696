"""What a partition believes about its items under one snapshot, kept current by every answer.

The snapshot holds a posterior of each item that counts the answers it was made from. Each label
answer since then multiplies it by the probability of that answer given the truth (Dawid and Skene
1979): one addition in log space.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from allocation.paces import ANSWER_S
from allocation.policy import Floats, expected_error
from allocation.ports import TruthSnapshot
from allocation.tables import AnswerTable, Ints
from cluster.domain.ids import WorkerId

_LOG_PROBABILITY_MIN = np.float32(-20.0)
"""No single answer, however unlikely a snapshot calls it, can rule a label out for good."""

_UNKNOWN_WORKER = -1
_ANSWERS_AT_ONCE = 1 << 18
_ITEMS_AT_ONCE = 1 << 16


class Belief:
    """The posteriors of a partition's n items over K labels.

    `log_posterior` (n, K) is normalised; `error` (n,) is 1 minus its largest probability.
    """

    def __init__(
        self, snapshot: TruthSnapshot, answers: AnswerTable, workers: Sequence[WorkerId]
    ) -> None:
        self._rows = {worker_id: row for row, worker_id in enumerate(snapshot.worker_ids)}
        self.log_posterior: Floats = np.array(snapshot.log_prior, dtype=np.float32)
        # The prior is in the posterior now; a second copy would double a shard's memory.
        self.snapshot = replace(snapshot, log_prior=snapshot.log_prior[:0])
        self._add_all(answers, self._rows_of(workers), snapshot.answers_counted)
        self.error: Floats = expected_error(self.log_posterior)
        self._error_sum = float(self.error.sum(dtype=np.float64))

    @property
    def mean_error(self) -> float:
        """The expected share of wrong labels among all items."""
        return self._error_sum / max(len(self.error), 1)

    @property
    def nbytes(self) -> int:
        """How much memory the posteriors take, without what the snapshot says of workers."""
        return self.log_posterior.nbytes + self.error.nbytes

    def log_confusion(self, worker_id: WorkerId) -> Floats:
        """Return log P(answer | truth) of a worker (K, K); the pool's where nobody knows it."""
        row = self._row(worker_id)
        found = self.snapshot
        return found.pooled_log_confusion if row == _UNKNOWN_WORKER else found.log_confusion[row]

    def log_confusions(self, worker_ids: Sequence[WorkerId]) -> Floats:
        """Return log P(answer | truth) of workers (workers, K, K)."""
        rows = self._rows_of(worker_ids)
        known = rows != _UNKNOWN_WORKER
        pooled = self.snapshot.pooled_log_confusion
        found: Floats = np.broadcast_to(pooled, (len(rows), *pooled.shape)).copy()
        found[known] = self.snapshot.log_confusion[rows[known]]
        return found

    def seconds(self, worker_ids: Sequence[WorkerId]) -> Floats:
        """Return how long an answer of each worker takes about, (workers,)."""
        told = self.snapshot.seconds
        if told is None:
            return np.full(len(worker_ids), ANSWER_S, dtype=np.float32)
        # A worker nobody knows has row -1: the last number, which stands for anybody else.
        found: Floats = told[self._rows_of(worker_ids)]
        return found

    def turns(self, worker_id: WorkerId) -> int | None:
        """Return how many questions the snapshot leaves a worker; None where there is no limit."""
        told = self.snapshot.turns
        # A worker nobody knows has row -1: the last number, which stands for anybody else.
        return None if told is None else int(told[self._row(worker_id)])

    def add(
        self,
        positions: Ints,
        worker_ids: Sequence[WorkerId],
        workers: Ints,
        labels: npt.NDArray[np.int16],
    ) -> None:
        """Count label answers, given as columns; `workers` indexes `worker_ids`."""
        said = self._said(self._rows_of(worker_ids)[workers], labels)
        items, nth = np.unique(positions, return_inverse=True)
        posterior = self.log_posterior[items]
        np.add.at(posterior, nth, said)
        posterior -= _log_sum(posterior)
        self.log_posterior[items] = posterior
        error = expected_error(posterior)
        self._error_sum += float((error.astype(np.float64) - self.error[items]).sum())
        self.error[items] = error

    def _rows_of(self, worker_ids: Sequence[WorkerId]) -> Ints:
        return np.fromiter(map(self._row, worker_ids), np.int32, len(worker_ids))

    def _row(self, worker_id: WorkerId) -> int:
        return self._rows.get(worker_id, _UNKNOWN_WORKER)

    def _add_all(self, answers: AnswerTable, rows: Ints, first: int) -> None:
        """Count every label answer of the table from `first` on, and normalise."""
        for start in range(first, len(answers), _ANSWERS_AT_ONCE):
            part = slice(start, start + _ANSWERS_AT_ONCE)
            counted = ~answers.audit[part]
            positions = answers.positions[part][counted]
            labels = answers.labels[part][counted]
            said = self._said(rows[answers.workers[part][counted]], labels)
            self._add_at(positions, said)
        for start in range(0, len(self.log_posterior), _ITEMS_AT_ONCE):
            some = self.log_posterior[start : start + _ITEMS_AT_ONCE]
            some -= _log_sum(some)

    def _said(self, rows: Ints, labels: npt.NDArray[np.int16]) -> Floats:
        """Return log P(answer | truth) of each answer, (answers, K)."""
        known = rows != _UNKNOWN_WORKER
        said: Floats = self.snapshot.pooled_log_confusion[:, labels].T.copy()
        said[known] = self.snapshot.log_confusion[rows[known], :, labels[known]]
        return np.maximum(said, _LOG_PROBABILITY_MIN)

    def _add_at(self, positions: Ints, said: Floats) -> None:
        items = len(self.log_posterior)
        for label in range(self.log_posterior.shape[1]):
            self.log_posterior[:, label] += np.bincount(
                positions, weights=said[:, label], minlength=items
            )


def _log_sum(log_posterior: Floats) -> Floats:
    """Return log of the sum of probabilities of each row, (n, 1)."""
    top = log_posterior.max(axis=1, keepdims=True)
    total: Floats = top + np.log(np.exp(log_posterior - top).sum(axis=1, keepdims=True))
    return total
