"""A pilot, and crowds drawn from it that answer as it did.

A replicate draws the pilot's items and workers with replacement (B. Efron: Bootstrap methods,
Annals of Statistics 7(1), 1979), a truth for every item from what the pilot's answers make of it,
and answers as they are needed. An answer follows the worker's confusion, leaning to those answers
that the item itself had more often than its workers' confusions expect: hard items stay hard, and
workers who erred together do so again. All are sharpened so that truth inference is as sure of a
simulated pilot as of the real one (indirect inference: C. Gourieroux, A. Monfort, E. Renault,
Journal of Applied Econometrics 8, 1993): what few answers tell of workers is blurred.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from allocation.quality import opinion_pool
from allocation.quality.votes import Floats, Votes
from serve_apps.backtest.replay import drawn
from serve_apps.backtest.run import Prepared

CONFUSION_WORTH = 3.0
"""Answers as its workers' confusions expect them that every item is taken to have had before."""

SHARPNESS_MIN, SHARPNESS_MAX = 0.5, 3.0
SHARPNESS_STEPS, SHARPNESS_DRAWS = 7, 5


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pilot:
    """A recorded crowd and what its answers tell; n items, W workers, K labels.

    `truth` (n, K) is the probability of each label, `confusion` (W, K, K) P(answer | truth), and
    `activity` (W,) how many answers each worker gave. `sharpness` is the power their answers'
    probabilities are raised to.
    """

    prepared: Prepared
    votes: Votes
    truth: Floats
    confusion: Floats
    activity: Floats
    sharpness: float = 1.0

    @classmethod
    def of(cls, prepared: Prepared, rng: np.random.Generator) -> "Pilot":
        """Infer what a recorded crowd tells of its items and workers."""
        recording = prepared.recording
        votes = Votes.of(
            recording.items,
            recording.workers,
            recording.labels,
            n_items=len(recording.item_ids),
            n_workers=len(recording.worker_ids),
            n_labels=len(recording.label_set),
        )
        opinions = opinion_pool.learn(votes)
        believed = np.exp(opinion_pool.believe(votes, opinions))
        blurred = cls(
            prepared=prepared,
            votes=votes,
            truth=_known(believed, recording.truth),
            confusion=np.exp(opinions.log_pooled),
            activity=votes.answers_per_worker().astype(np.float64),
        )
        return blurred.sharpened(float(believed.max(axis=1).mean()), rng)

    def replicate(self, rng: np.random.Generator) -> tuple[Prepared, "DrawnAnswers"]:
        """Return a job of as many items as the pilot has, their truth known, and its crowd."""
        truth = _drawn_labels(self.truth, rng)
        lean = self._lean(truth)
        items = rng.integers(len(truth), size=len(truth))
        workers = rng.integers(len(self.confusion), size=len(self.confusion))
        nothing = np.empty(0, dtype=np.int64)
        recording = replace(
            self.prepared.recording,
            item_ids=tuple(f"item {number}" for number in range(len(items))),
            worker_ids=tuple(f"worker {number}" for number in range(len(workers))),
            items=nothing,
            workers=nothing,
            labels=nothing,
            truth=truth[items],
            contents=None,
        )
        learner = self.prepared.learner
        prepared = Prepared(
            recording=recording, learner=None if learner is None else learner.rows(items)
        )
        answer = (self.confusion[workers][:, truth[items]] * lean[items]) ** self.sharpness
        return prepared, DrawnAnswers(answer, self.activity[workers], rng)

    def sharpened(self, belief: float, rng: np.random.Generator) -> "Pilot":
        """Return the pilot of which simulations are believed as much as it is, by bisection."""
        low, high = SHARPNESS_MIN, SHARPNESS_MAX
        for _ in range(SHARPNESS_STEPS):
            middle = replace(self, sharpness=float(np.sqrt(low * high)))
            simulated = np.mean([middle.simulated_belief(rng) for _ in range(SHARPNESS_DRAWS)])
            found = middle.sharpness
            low, high = (low, found) if simulated > belief else (found, high)
        return replace(self, sharpness=float(np.sqrt(low * high)))

    def simulated_belief(self, rng: np.random.Generator) -> float:
        """Return how sure inference is of the same questions answered anew."""
        truth, votes = _drawn_labels(self.truth, rng), self.votes
        said = self.confusion[votes.workers, truth[votes.items]] * self._lean(truth)[votes.items]
        labels = _drawn_labels(said**self.sharpness, rng)
        again = replace(votes, labels=labels.astype(votes.labels.dtype))
        believed = opinion_pool.believe(again, opinion_pool.learn(again))
        return float(np.exp(believed.max(axis=1)).mean())

    def _lean(self, truth: npt.NDArray[np.int64]) -> Floats:
        """Return how much likelier each answer was than the items' workers make it, (n, K)."""
        votes = self.votes
        expected = np.zeros_like(self.truth)
        np.add.at(expected, votes.items, self.confusion[votes.workers, truth[votes.items]])
        mean = expected / np.maximum(votes.answers_per_item(), 1)[:, None]
        ratio: Floats = (votes.counts() + CONFUSION_WORTH * mean) / np.maximum(
            expected + CONFUSION_WORTH * mean, 1e-9
        )
        ratio[votes.answers_per_item() == 0] = 1.0
        return ratio


class DrawnAnswers:
    """Workers who answer each item once, in shares of `answer` (W, n, K); come by `activity`."""

    def __init__(self, answer: Floats, activity: Floats, rng: np.random.Generator) -> None:
        self._answer, self._activity, self._rng = answer, activity, rng
        self._open = np.ones(answer.shape[:2], dtype=np.bool_)
        self._idle = np.zeros(len(answer), dtype=np.bool_)

    def arrival(self, rng: np.random.Generator) -> int | None:
        """Return who comes next; None where nobody is left who might be offered something."""
        return drawn(np.where(self._idle, 0.0, self._activity), rng)

    def skills_of(self, _worker: int, /) -> frozenset[str]:
        """Return none: pilots do not tell."""
        return frozenset()

    def items_of(self, worker: int) -> npt.NDArray[np.int64]:
        """Return the items a worker can still answer."""
        return np.flatnonzero(self._open[worker])

    def take(self, worker: int, item: int) -> int:
        """Return a worker's answer to an item."""
        self._open[worker, item] = False
        return int(_drawn_labels(self._answer[worker, item][None], self._rng)[0])

    def dismiss(self, worker: int) -> None:
        """Note that nothing was found for a worker."""
        self._idle[worker] = True

    def recall(self) -> None:
        """Let all workers come again."""
        self._idle[:] = False


def _known(believed: Floats, truth: npt.NDArray[np.int64]) -> Floats:
    """Return beliefs (n, K), settled where a reference label of 0 or more is known."""
    known = np.flatnonzero(truth >= 0)
    believed[known] = np.eye(believed.shape[1])[truth[known]]
    return believed


def _drawn_labels(probability: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return a label for each row of (n, K) probabilities."""
    ends = np.cumsum(probability, axis=1)
    point = rng.random((len(probability), 1)) * ends[:, -1:]
    return np.asarray((ends <= point).sum(axis=1), dtype=np.int64)
