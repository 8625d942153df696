"""Answers that are numbers, as flat arrays, and what truth inference makes of them."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from allocation.quality.votes import Codes, Floats

CONFIDENCE = 0.95
"""Every interval of a `NumericFit` is meant to hold with this probability."""

KEPT, KEPT_SHARE = 0.95, 0.7588
"""The share of errors that set the scale, and how much of a normal variance lies in them."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Numbers:
    """Answers in coordinate form: `workers[j]` said the number `values[j]` of item `items[j]`.

    The three arrays have one length, in any order; items and workers are dense codes from 0, values
    are finite and in any one unit. Items and workers without an answer are allowed. A worker who
    answered an item twice counts twice.
    """

    items: npt.NDArray[np.int64]
    workers: npt.NDArray[np.int32]
    values: Floats
    n_items: int
    n_workers: int

    def __post_init__(self) -> None:
        for name, codes, size in (
            ("items", self.items, self.n_items),
            ("workers", self.workers, self.n_workers),
        ):
            if codes.shape != self.values.shape or codes.ndim != 1:
                raise ValueError(f"{name} must be one-dimensional and as long as values")
            if len(codes) and not (codes.min() >= 0 and codes.max() < size):
                raise ValueError(f"{name} must lie in 0..{size - 1}")
        wrong = np.flatnonzero(~np.isfinite(self.values))
        if len(wrong):
            raise ValueError(f"values[{wrong[0]}] is {self.values[wrong[0]]}, not a finite number")

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def of(
        cls,
        items: npt.ArrayLike,
        workers: npt.ArrayLike,
        values: npt.ArrayLike,
        *,
        n_items: int,
        n_workers: int,
    ) -> Self:
        """Return numbers from anything array-like. Raises ValueError for one that is not finite."""
        return cls(
            items=np.asarray(items, dtype=np.int64),
            workers=np.asarray(workers, dtype=np.int32),
            values=np.asarray(values, dtype=np.float64),
            n_items=n_items,
            n_workers=n_workers,
        )

    def only(self, kept: npt.NDArray[np.bool_]) -> Self:
        """Return the kept answers, (answers,) of true and false, of the same items and workers."""
        return replace(
            self, items=self.items[kept], workers=self.workers[kept], values=self.values[kept]
        )

    def per_item(self, values: Floats) -> Floats:
        """Return the sum of one value an answer over the answers of each item, (items,)."""
        return np.bincount(self.items, values, self.n_items).astype(np.float64)

    def per_worker(self, values: Floats) -> Floats:
        """Return the sum of one value an answer over the answers of each worker, (workers,)."""
        return np.bincount(self.workers, values, self.n_workers).astype(np.float64)

    def answers_per_item(self) -> Codes:
        """Return the number of answers of each item, (items,)."""
        return np.bincount(self.items, minlength=self.n_items)

    def answers_per_worker(self) -> Codes:
        """Return the number of answers of each worker, (workers,)."""
        return np.bincount(self.workers, minlength=self.n_workers)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NumericFit:
    """What the items are, and how far each worker's answers lie from that; in the unit given.

    `estimate`, `standard_error` and the interval from `lower` to `upper` are (items,); an item
    without answers has the estimate NaN, an infinite error and an unbounded interval. `bias`, how
    much a worker says too much, its standard error `bias_error`, `deviation`, the standard
    deviation of a worker's answers about truth plus bias, and its interval from `deviation_lower`
    to `deviation_upper` are (workers,). `set_aside` (answers,) marks answers that were not used.
    `objective` holds what was maximised after each of the `iterations`; it is empty for averages.
    """

    estimate: Floats
    standard_error: Floats
    lower: Floats
    upper: Floats
    bias: Floats
    bias_error: Floats
    deviation: Floats
    deviation_lower: Floats
    deviation_upper: Floats
    set_aside: npt.NDArray[np.bool_]
    iterations: int
    objective: tuple[float, ...]


def pooled_variance(numbers: Numbers, centre: Floats) -> float:
    """Return how far answers typically lie from the `centre` (items,) of their item, squared.

    The twentieth of the answers that lies furthest away is left out, so that it cannot set the
    scale; each item's own centre is paid for by one answer. Where no item has two answers nothing
    tells error from truth, and the spread of all answers stands in. 0 where all agree.
    """
    several = numbers.answers_per_item()[numbers.items] > 1
    if not several.any():
        spread = numbers.values - np.median(numbers.values) if len(numbers) else np.zeros(1)
        return _trimmed(spread**2)
    count = numbers.answers_per_item()[numbers.items[several]]
    residual = (numbers.values - centre[numbers.items])[several]
    return _trimmed(residual**2 * count / (count - 1.0))


def _trimmed(squares: Floats) -> float:
    """Return the mean of the smaller squares; of normal errors that is their variance."""
    kept = np.sort(squares)[: int(np.ceil(KEPT * len(squares)))]
    share = KEPT_SHARE if len(kept) < len(squares) else 1.0
    return float(kept.mean()) / share or float(squares.mean())
