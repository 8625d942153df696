"""How hard each item is: simple, medium or hard; foretold where nobody has answered it.

It is learned from answered items how undecided the model is about hard ones, and how answers to
similar ones turned out (`quality.difficulty_prediction`). An answer is wrong as probably as all
that is known says, its own word included: where items have one answer or two, most of them agree
with a consensus that is little else than they. What is foretold of an item is what is believed
before its own answers, which replace it as they come (`quality.difficulty`).

Looked at are the items asked for and a sample of the answered ones, so that neither time nor
memory grows with the job.
"""

import numpy as np
import numpy.typing as npt

from allocation.quality import difficulty_prediction
from allocation.quality.difficulty import difficulty
from allocation.quality.difficulty_prediction import Outcomes, entropy, neighbourhood
from allocation.quality.fusion import Truth
from allocation.quality.votes import Floats, Votes

Features = npt.NDArray[np.float16]
Grades = npt.NDArray[np.int8]

SAMPLE_ITEMS = 5_000
"""So many answered items at most are learned from, spread evenly over all."""


def graded(
    positions: npt.NDArray[np.int64], votes: Votes, truth: Truth, features: Features
) -> Grades:
    """Return how hard some items are, (positions,), as codes of `domain.labels.DIFFICULTIES`.

    `features` (items, D) are compared by direction; D may be 0, and a row of zeros is like none.
    """
    rows, place = np.unique(
        np.append(positions, _sample(votes.answers_per_item())), return_inverse=True
    )
    seen = _only(votes, rows)
    answers = seen.answers_per_item()
    prior, posterior = np.exp(truth.log_prior[rows]), np.exp(truth.log_full[rows])
    signals = [entropy(prior)]
    outcomes = Outcomes.expected(seen, posterior)
    if features.shape[1] and len(seen):
        signals.append(neighbourhood(features[rows], outcomes))
    columns = np.stack(signals, axis=1)
    wrong = difficulty_prediction.learn(columns, outcomes).probability(columns)
    if len(seen):
        found = difficulty(seen, _accuracy(truth, posterior), prior, wrong)
        wrong = np.where(answers > 0, found, wrong)
    return difficulty_prediction.graded(wrong)[place[: len(positions)]]


def _sample(answers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return answered items, evenly spread."""
    answered = np.flatnonzero(answers)
    return answered[:: max(1, -(-len(answered) // SAMPLE_ITEMS))]


def _only(votes: Votes, rows: npt.NDArray[np.int64]) -> Votes:
    """Return the votes on some items, coded by their place among these."""
    row = np.full(votes.n_items, -1, dtype=np.int64)
    row[rows] = np.arange(len(rows))
    kept = row[votes.items] >= 0
    return Votes(
        items=row[votes.items[kept]],
        workers=votes.workers[kept],
        labels=votes.labels[kept],
        n_items=len(rows),
        n_workers=votes.n_workers,
        n_labels=votes.n_labels,
    )


def _accuracy(truth: Truth, posterior: Floats) -> Floats:
    """Return how often each worker is right about items like these, (workers,)."""
    right = np.exp(np.diagonal(truth.log_confusion, axis1=1, axis2=2))
    return np.asarray(right @ posterior.mean(axis=0))
