"""Truth inference for comparisons: a strength of every item, a reliability of every worker.

A reliable worker prefers item i to item j with probability 1 / (1 + exp(s_j - s_i)) (R. A. Bradley,
M. E. Terry: Rank analysis of incomplete block designs, Biometrika 39, 1952). A worker reports that
preference with probability r, and the opposite otherwise (X. Chen et al.: Pairwise ranking
aggregation in a crowdsourced setting, WSDM 2013). Strengths have a normal prior, reliabilities a
beta prior, so that items that always win, and tables that fall into parts, are safe.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from allocation.quality.votes import Codes, Floats

STRENGTH_DEVIATION = 2.0
"""Of strengths before any comparison: two thirds of all items would win up to 7 in 8 of theirs."""

RIGHT_PRIOR, WRONG_PRIOR = 4.0, 1.0
"""Comparisons every worker is taken to have reported before: the beta prior of reliability."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pairs:
    """Comparisons: `workers[j]` preferred item `winners[j]` to item `losers[j]`, as dense codes."""

    winners: Codes
    losers: Codes
    workers: Codes
    n_items: int
    n_workers: int

    def __post_init__(self) -> None:
        for name, codes, size in (
            ("winners", self.winners, self.n_items),
            ("losers", self.losers, self.n_items),
            ("workers", self.workers, self.n_workers),
        ):
            if codes.shape != (len(self.winners),):
                raise ValueError(f"{name} must be one-dimensional and as long as winners")
            if len(codes) and not (codes.min() >= 0 and codes.max() < size):
                raise ValueError(f"{name} must lie in 0..{size - 1}")
        if (self.winners == self.losers).any():
            raise ValueError("an item cannot be compared with itself")

    def __len__(self) -> int:
        return len(self.winners)

    @classmethod
    def of(
        cls,
        winners: npt.ArrayLike,
        losers: npt.ArrayLike,
        workers: npt.ArrayLike,
        *,
        n_items: int,
        n_workers: int,
    ) -> Self:
        """Return comparisons from anything array-like."""
        return cls(
            winners=np.asarray(winners, dtype=np.int64),
            losers=np.asarray(losers, dtype=np.int64),
            workers=np.asarray(workers, dtype=np.int64),
            n_items=n_items,
            n_workers=n_workers,
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PairFit:
    """Strengths (items,) in log odds, about 0; the reliability of each worker, (workers,).

    `objective` holds the log posterior density after each of the `iterations`.
    """

    strength: Floats
    reliability: Floats
    iterations: int
    objective: tuple[float, ...]


def bradley_terry(pairs: Pairs) -> PairFit:
    """Return the most probable strengths where every worker is reliable."""
    sure = np.ones(pairs.n_workers)
    strength = _strengths(pairs, np.ones(len(pairs)), np.zeros(pairs.n_items))
    return PairFit(
        strength=strength,
        reliability=sure,
        iterations=1,
        objective=(_density(pairs, strength, sure),),
    )


def crowd_bradley_terry(
    pairs: Pairs, *, iterations_max: int = 100, tolerance: float = 1e-6
) -> PairFit:
    """Return the most probable strengths and reliabilities, by EM from those of `bradley_terry`.

    The density never falls; EM ends when it gains less than `tolerance` a comparison. A worker
    without comparisons has the prior's reliability, an item without any the strength 0.
    """
    strength = _strengths(pairs, np.ones(len(pairs)), np.zeros(pairs.n_items))
    seen = np.bincount(pairs.workers, minlength=pairs.n_workers)
    reliability = np.full(pairs.n_workers, RIGHT_PRIOR / (RIGHT_PRIOR + WRONG_PRIOR))
    history: list[float] = []
    for _ in range(max(iterations_max, 1)):
        meant = _meant(pairs, strength, reliability)
        right = np.bincount(pairs.workers, meant, pairs.n_workers)
        reliability = (right + RIGHT_PRIOR) / (seen + RIGHT_PRIOR + WRONG_PRIOR)
        strength = _strengths(pairs, meant, strength)
        history.append(_density(pairs, strength, reliability))
        if len(history) > 1 and history[-1] - history[-2] < tolerance * len(pairs):
            break
    return PairFit(
        strength=strength,
        reliability=reliability,
        iterations=len(history),
        objective=tuple(history),
    )


def agreement(pairs: Pairs, strength: Floats) -> float:
    """Return the share of comparisons that strengths agree with; a tie counts half."""
    gap = strength[pairs.winners] - strength[pairs.losers]
    return float(((gap > 0.0) + 0.5 * (gap == 0.0)).mean())


def _meant(pairs: Pairs, strength: Floats, reliability: Floats) -> Floats:
    """Return how probably each comparison reports what the worker preferred, (comparisons,)."""
    wins = expit(strength[pairs.winners] - strength[pairs.losers])
    right = reliability[pairs.workers] * wins
    meant: Floats = right / (right + (1.0 - reliability[pairs.workers]) * (1.0 - wins))
    return meant


def _strengths(pairs: Pairs, meant: Floats, start: Floats) -> Floats:
    """Return the strengths that make the preferences meant most probable; a concave problem."""

    def loss(strength: Floats) -> tuple[float, Floats]:
        gap = strength[pairs.winners] - strength[pairs.losers]
        value = np.logaddexp(0.0, -gap) + (1.0 - meant) * gap
        slope = meant - expit(gap)
        push = np.bincount(pairs.winners, slope, pairs.n_items)
        pull = np.bincount(pairs.losers, slope, pairs.n_items)
        prior = strength / STRENGTH_DEVIATION**2
        return float(value.sum() + strength @ prior / 2.0), prior - push + pull

    found: Floats = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return found


def _density(pairs: Pairs, strength: Floats, reliability: Floats) -> float:
    wins = expit(strength[pairs.winners] - strength[pairs.losers])
    worker = reliability[pairs.workers]
    answers = float(np.log(worker * wins + (1.0 - worker) * (1.0 - wins)).sum())
    prior = -float(strength @ strength) / (2.0 * STRENGTH_DEVIATION**2)
    if (reliability == 1.0).all():
        return answers + prior
    beta = RIGHT_PRIOR * np.log(reliability) + WRONG_PRIOR * np.log1p(-reliability)
    return answers + prior + float(beta.sum())
