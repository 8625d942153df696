"""What to expect of a worker from what is known of them beside their answers to this job.

Ability is learned from the workers who have answered (`quality.ability`), by what is known of
each: how earlier jobs went, and what they declared. Knowing it shifts the belief about a worker's
accuracy; the log odds of a right answer are shifted by as much. That is most before any answer,
when all others would be taken for the average worker, and wears off as answers come, since these
move both beliefs to the same place. Where nothing foretells workers left out, nobody is shifted.
"""

from dataclasses import dataclass

import numpy as np

from allocation.quality import ability, dawid_skene
from allocation.quality.ability import crowd_prior
from allocation.quality.calibration import normalised, tempered
from allocation.quality.fusion import Truth
from allocation.quality.reliability import Evidence, accuracies, evidence
from allocation.quality.votes import Codes, Fit, Floats, Votes
from cluster.domain.ids import WorkerId

LEARN_GROWTH = 1.2
"""Ability is learned anew once there are this many times more answers than the last time."""

LEARNED_WORKERS_MAX = 500
"""Of so many workers at most, those with most answers, ability is learned."""

ANSWERS_MAX = 200_000
"""So many answers at most, spread evenly over all, tell how good workers are."""

NEWCOMER_CELLS_MAX = 100_000
"""What confusions of newcomers may take in a snapshot: 0.4 MB."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Known:
    """What is known of workers beside their answers: features (workers, F), NaN where nothing.

    Those come first who are likeliest to answer: only some newcomers have a place in a snapshot.
    """

    worker_ids: tuple[WorkerId, ...]
    features: Floats

    @classmethod
    def nothing(cls) -> "Known":
        """Return what is known where nothing is."""
        return cls(worker_ids=(), features=np.empty((0, 0)))


class Newcomers:
    """By how much each worker is shifted, learned anew as answers come."""

    def __init__(self, labels: int) -> None:
        self._most = NEWCOMER_CELLS_MAX // labels**2
        self._known = Known.nothing()
        self._shifts: dict[WorkerId, float] = {}
        self._learned_at = 0.0

    def know(self, known: Known) -> None:
        """Take what is known of workers from now on."""
        self._known, self._learned_at = known, 0.0

    def learn(self, votes: Votes, truth: Truth, worker_ids: tuple[WorkerId, ...]) -> None:
        """Learn from the crowd's votes, `worker_ids` being their workers, once they have grown."""
        if not self._known.worker_ids or len(votes) < max(1.0, LEARN_GROWTH * self._learned_at):
            return
        self._learned_at = len(votes)
        everybody = dict.fromkeys((*worker_ids, *self._known.worker_ids))
        place = {worker_id: row for row, worker_id in enumerate(everybody)}
        features = np.full((len(everybody), self._known.features.shape[1]), np.nan)
        features[[place[worker_id] for worker_id in self._known.worker_ids]] = self._known.features
        shifts = _shifts(_evidence(votes, truth, len(everybody)), features)
        self._shifts = dict(zip(everybody, shifts.tolist(), strict=True)) if shifts.any() else {}

    def told(
        self, worker_ids: tuple[WorkerId, ...], truth: Truth, worth: float
    ) -> tuple[tuple[WorkerId, ...], Floats]:
        """Return whom a shard should know, and log P(answer | truth) of them, (workers, K, K).

        Those who have answered come first, in their order; of the others there are a few at most.
        All are tempered by `worth`.
        """
        seen = set(worker_ids)
        new = [worker_id for worker_id in self._shifts if worker_id not in seen][: self._most]
        pooled = np.broadcast_to(truth.log_pooled, (len(new), *truth.log_pooled.shape))
        log_confusion = np.concatenate([truth.log_confusion[: len(worker_ids)], pooled])
        everybody = (*worker_ids, *new)
        shift = np.array([self._shifts.get(worker_id, 0.0) for worker_id in everybody])
        shifted = log_confusion + shift[:, None, None] * np.eye(len(truth.log_pooled))
        return everybody, tempered(shifted, worth)


def _evidence(votes: Votes, truth: Truth, workers: int) -> Evidence:
    """Return what the answers say of each worker, and nothing of those without any."""
    some = slice(None, None, max(1, -(-len(votes) // ANSWERS_MAX)))
    heard = Votes(
        items=votes.items[some],
        workers=votes.workers[some],
        labels=votes.labels[some],
        n_items=votes.n_items,
        n_workers=workers,
        n_labels=votes.n_labels,
    )
    even = np.zeros(votes.n_labels)
    joint = dawid_skene.log_joint(heard, truth.log_confusion, even, truth.log_prior)
    fit = Fit(
        posterior=np.exp(normalised(joint)),
        log_confusion=truth.log_confusion,
        class_prior=np.exp(even),
        iterations=0,
        log_likelihood=(),
    )
    return evidence(heard, fit)


def _shifts(found: Evidence, features: Floats) -> Floats:
    """Return by how much what is known shifts the log odds of a right answer, (workers,)."""
    most = _most_answers(found)
    learned_from = Evidence(log_likelihood=found.log_likelihood[most], answers=found.answers[most])
    learned = ability.learn(learned_from, features[most])
    if not learned.informed:
        return np.zeros(len(features))
    informed = accuracies(found, learned.prior(features)).mean
    blind = accuracies(found, crowd_prior(learned_from)).mean
    return np.asarray(np.log(informed / (1.0 - informed)) - np.log(blind / (1.0 - blind)))


def _most_answers(found: Evidence) -> Codes:
    """Return those workers, by rising number, who have given most answers."""
    ranked = np.argsort(-found.answers, kind="stable")[:LEARNED_WORKERS_MAX]
    return np.sort(ranked[found.answers[ranked] > 0])
