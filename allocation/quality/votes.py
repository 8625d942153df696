"""Answers as flat arrays, and what truth inference makes of them."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Votes:
    """Answers in coordinate form: `workers[j]` said `labels[j]` of item `items[j]`.

    The three arrays have one length, in any order; items, workers and labels are dense codes from
    0. Items and workers without an answer, and labels nobody gave, are allowed. A worker who
    answered an item twice counts twice.
    """

    items: npt.NDArray[np.int64]
    workers: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int16]
    n_items: int
    n_workers: int
    n_labels: int

    def __post_init__(self) -> None:
        if self.n_labels < 1:
            raise ValueError(f"n_labels must be at least 1, not {self.n_labels}")
        for name, codes, size in (
            ("items", self.items, self.n_items),
            ("workers", self.workers, self.n_workers),
            ("labels", self.labels, self.n_labels),
        ):
            if codes.shape != (len(self.items),):
                raise ValueError(f"{name} must be one-dimensional and as long as items")
            if not np.issubdtype(codes.dtype, np.integer):
                raise ValueError(f"{name} must hold integer codes, not {codes.dtype}")
            if len(codes) and not (codes.min() >= 0 and codes.max() < size):
                raise ValueError(f"{name} must lie in 0..{size - 1}")

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def of(
        cls,
        items: npt.ArrayLike,
        workers: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        n_items: int,
        n_workers: int,
        n_labels: int,
    ) -> Self:
        """Return votes from anything array-like, cast to the narrow types they are kept in."""
        return cls(
            items=np.asarray(items, dtype=np.int64),
            workers=np.asarray(workers, dtype=np.int32),
            labels=np.asarray(labels, dtype=np.int16),
            n_items=n_items,
            n_workers=n_workers,
            n_labels=n_labels,
        )

    def on(self, items: Codes) -> Self:
        """Return the answers to some different items, which are numbered in their order."""
        row = np.full(self.n_items, -1, dtype=np.int64)
        row[items] = np.arange(len(items))
        kept = row[self.items] >= 0
        return replace(
            self,
            items=row[self.items[kept]],
            workers=self.workers[kept],
            labels=self.labels[kept],
            n_items=len(items),
        )

    def counts(self, weights: Floats | None = None) -> Floats:
        """Return how often each item was given each label, (items, labels).

        `weights` (workers,) makes the answers of each worker count that often.
        """
        cells = self.items * self.n_labels + self.labels
        per_answer = None if weights is None else weights[self.workers]
        tally = np.bincount(cells, weights=per_answer, minlength=self.n_items * self.n_labels)
        return tally.reshape(self.n_items, self.n_labels).astype(np.float64)

    def answers_per_item(self) -> Codes:
        """Return the number of answers of each item, (items,)."""
        return np.bincount(self.items, minlength=self.n_items)

    def answers_per_worker(self) -> Codes:
        """Return the number of answers of each worker, (workers,)."""
        return np.bincount(self.workers, minlength=self.n_workers)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Fit:
    """A truth-inference result; K is the number of labels.

    `posterior` (items, K) sums to 1 a row; `log_confusion` (workers, K, K) holds
    log P(answer | truth) as [worker, truth, answer]; `class_prior` is (K,). `posterior` is what
    `log_confusion` and `class_prior` give for the answers. `log_likelihood` holds the natural log
    likelihood of the answers, plus the log prior density where the model has one, after each of
    the `iterations`; it is empty for methods without a likelihood.
    """

    posterior: Floats
    log_confusion: Floats
    class_prior: Floats
    iterations: int
    log_likelihood: tuple[float, ...]

    def labels(self) -> Codes:
        """Return the most probable label of each item, (items,); ties go to the lowest code."""
        best: Codes = self.posterior.argmax(axis=1)
        return best
