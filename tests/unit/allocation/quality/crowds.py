"""Simulated crowds whose truth is known."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from allocation.quality.votes import Floats, Votes


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """Votes with the truth (items,) and the confusions (workers, K, K) that made them."""

    votes: Votes
    truth: npt.NDArray[np.int64]
    confusion: Floats


def confusions(accuracies: Floats, n_labels: int) -> Floats:
    """Workers of given accuracy whose errors are spread evenly: (workers, K, K)."""
    off = (1.0 - accuracies) / (n_labels - 1)
    return np.where(np.eye(n_labels, dtype=bool), accuracies[:, None, None], off[:, None, None])


def draw(
    rng: np.random.Generator, confusion: Floats, truth: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """One answer to each truth (n,) under its own confusion matrix (n, K, K)."""
    rows = confusion[np.arange(len(truth)), truth]
    answers: npt.NDArray[np.int64]
    answers = (rng.random(len(truth))[:, None] > rows.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return answers


def crowd(
    seed: int,
    *,
    n_items: int = 300,
    n_workers: int = 20,
    n_labels: int = 3,
    answers_per_item: int = 5,
    accuracy: tuple[float, float] = (0.5, 0.95),
) -> Crowd:
    """A crowd of even-error workers, each item answered by distinct random workers."""
    rng = np.random.default_rng(seed)
    confusion = confusions(rng.uniform(*accuracy, n_workers), n_labels)
    truth = rng.integers(n_labels, size=n_items)
    workers = rng.random((n_items, n_workers)).argsort(axis=1)[:, :answers_per_item].ravel()
    items = np.repeat(np.arange(n_items), answers_per_item)
    labels = draw(rng, confusion[workers], truth[items])
    votes = Votes.of(
        items, workers, labels, n_items=n_items, n_workers=n_workers, n_labels=n_labels
    )
    return Crowd(votes, truth, confusion)


@st.composite
def any_votes(draw: st.DrawFn) -> Votes:
    """Small vote tables of every shape, empty ones included."""
    n_items, n_workers, n_labels = (draw(st.integers(1, 6)) for _ in range(3))
    n = draw(st.integers(0, 25))
    codes = [
        draw(st.lists(st.integers(0, size - 1), min_size=n, max_size=n))
        for size in (n_items, n_workers, n_labels)
    ]
    return Votes.of(*codes, n_items=n_items, n_workers=n_workers, n_labels=n_labels)
