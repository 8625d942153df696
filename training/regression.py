"""Whether a version has turned out worse than the one it replaced, judged as answers come in.

The audit gate looks once. Behind it a version is looked at again and again, each time audit answers
have come, and a test at a fixed level would reject anything in the end. So the evidence is a bet
(Waudby-Smith & Ramdas 2024): for each item i audited since, with posterior a_i,

    d_i = c_i (a_i[argmax p] - a_i[argmax q]),   p the version before, q the one judged,

lies in [-1, 1], and the wealth W = mean over stakes s of prod_i (1 + s d_i) grows only where the
version before is more often right. If it is not, W exceeds 1 / alpha ever, at any look, with a
chance of at most alpha (Ville 1939); 1 / W serves as the p-value. c_i takes out that items the
model doubted were likelier to be audited (Horvitz & Thompson 1952), scaled to at most 1.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]

STAKES = np.array([1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4])


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """How a version does beside the one before it; scores are expected correctness on `n` items."""

    is_worse: bool
    p_value: float
    score: float
    before_score: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What `n` audited items say of two versions; those of several jobs add up.

    `log_wealth` is that of each stake, `weight` the sum of the items' c_i, and `right` and
    `right_before` are the weighted sums of how likely each version was right.
    """

    log_wealth: tuple[float, ...] = (0.0,) * len(STAKES)
    n: int = 0
    weight: float = 0.0
    right: float = 0.0
    right_before: float = 0.0

    @classmethod
    def of(
        cls,
        before: Probabilities,
        after: Probabilities,
        audit_posterior: Probabilities,
        weights: Floats,
    ) -> Self:
        """Compare probabilities (n, K) of two versions; `weights` (n,), in (0, 1], are the c_i."""
        rows, truth = np.arange(len(audit_posterior)), audit_posterior.astype(np.float64)
        right_before = truth[rows, before.argmax(axis=1)]
        right = truth[rows, after.argmax(axis=1)]
        bets = weights * (right_before - right)
        wealth = np.log1p(STAKES[:, None] * bets).sum(axis=1)
        return cls(
            log_wealth=tuple(wealth.tolist()),
            n=len(rows),
            weight=float(weights.sum()),
            right=float(weights @ right),
            right_before=float(weights @ right_before),
        )

    def __add__(self, other: "Tally") -> "Tally":
        """Return what both say together."""
        return Tally(
            log_wealth=tuple(
                one + two for one, two in zip(self.log_wealth, other.log_wealth, strict=True)
            ),
            n=self.n + other.n,
            weight=self.weight + other.weight,
            right=self.right + other.right,
            right_before=self.right_before + other.right_before,
        )

    def judged(self, confidence: float) -> Regression:
        """Return whether the later version is worse beyond chance."""
        wealth = np.exp(np.array(self.log_wealth)).mean()
        p_value = float(min(1.0, 1.0 / wealth))
        return Regression(
            is_worse=p_value <= 1.0 - confidence,
            p_value=p_value,
            score=self.right / self.weight if self.n else 0.0,
            before_score=self.right_before / self.weight if self.n else 0.0,
            n=self.n,
        )
