"""Anytime-valid lower bound of a mean, by betting.

To test "the mean is at most m" a gambler with wealth 1 bets on each score being above m. Under the
hypothesis the wealth is a nonnegative supermartingale, so by Ville's inequality it ever reaches
1 / alpha with probability at most alpha: every m it reaches it for may be ruled out for good,
whenever and however often one looks. I. Waudby-Smith, A. Ramdas: Estimating means of bounded random
variables by betting, J. R. Stat. Soc. B 86(1), 2024.

Wealth is split once over bettors (a discrete universal portfolio). Each looks for one edge, how far
the mean lies above m, and stakes what is best for it (their "GRO" bet): more on a score that is
known to be less noisy. Most of the wealth looks for the edge that the planned number of scores can
just prove, which makes the bound a fifth narrower there; the rest covers all other edges.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

from allocation.quality.betting import ever_reaches, highest_ruled_out
from allocation.quality.votes import Floats

EDGES: Floats = np.geomspace(0.005, 0.2, 6)
"""The edges that are looked for whatever the plan."""

PLANNED_SHARE = 0.75
VARIANCE_MIN = 1e-6
PRECISION = 5e-5
"""Bounds are this much too low at most."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Draws:
    """Scores in the order they were drawn, and what was known of each before; arrays of (n,).

    Given the past and what was known, every score has the one mean that is looked for, which lies
    in [0, 1], and is at least its `floor`. `variance` is a guess, made without any score: a
    wrong one costs width and never truth. Where `population` is given, each draw is of another one
    of that many items, whose fixed values have the mean looked for; `outcomes` are those drawn, 0
    or more. `planned` is how many draws were planned before the first one; whenever all planned
    ones are in, as many again are planned, should they be needed.
    """

    scores: Floats
    floor: Floats
    variance: Floats
    outcomes: Floats
    population: int | None = None
    planned: int

    def __post_init__(self) -> None:
        for array in (self.floor, self.variance, self.outcomes):
            if array.shape != self.scores.shape:
                raise ValueError("floor, variance and outcomes must be as long as scores")
        below = ~(self.scores >= self.floor - 1e-9)
        if below.any():
            at = int(below.argmax())
            raise ValueError(f"a score of {self.scores[at]} is below its floor of {self.floor[at]}")
        if self.population is not None and self.population < len(self.scores):
            raise ValueError("more draws than items")

    @classmethod
    def of(
        cls,
        scores: Floats,
        *,
        floor: float | Floats = 0.0,
        variance: float | Floats = 0.05,
        planned: int | None = None,
    ) -> Self:
        """Return draws with replacement; by default as many as there are were planned."""
        return cls(
            scores=scores,
            floor=np.broadcast_to(np.asarray(floor, dtype=np.float64), scores.shape).copy(),
            variance=np.broadcast_to(np.asarray(variance, dtype=np.float64), scores.shape).copy(),
            outcomes=scores,
            planned=len(scores) if planned is None else planned,
        )


def ruled_out(draws: Draws, mean: float, confidence: float) -> bool:
    """Return whether "the mean is at most `mean`" was ruled out after any of the draws.

    With probability `confidence` or more this is False for the true mean. `mean` lies above every
    floor. Once True for a mean, it is so for every lower one.
    """
    gambler = _gambler(draws, confidence)
    return bool(ever_reaches(*gambler, mean, _drawn(draws)))


def lower(draws: Draws, confidence: float) -> float:
    """Return a lower bound of the mean, in [0, 1], that holds after every draw at once.

    With probability `confidence` or more no bound returned for any beginning of the draws exceeds
    the mean. Never falls as draws are added; 0 for none.
    """
    gambler = _gambler(draws, confidence)
    return float(highest_ruled_out(*gambler, _drawn(draws), PRECISION))


def foreseen(draws: Draws, mean: float, count: int) -> Draws:
    """Return the draws as they may look once there are `count`, if the rest average `mean`.

    The rest are as noisy as those so far, of which there is at least one.
    """
    rest = max(count - len(draws.scores), 0)
    if draws.population is not None:
        rest = min(rest, draws.population - len(draws.scores))
    variance = 1.0 / float(np.mean(1.0 / np.maximum(draws.variance, VARIANCE_MIN)))
    noise = np.sqrt(variance) * np.where(np.arange(rest) % 2 == 0, 1.0, -1.0)
    return replace(
        draws,
        scores=np.append(draws.scores, mean + noise),
        floor=np.append(
            draws.floor, np.full(rest, min(draws.floor.min(), mean - np.sqrt(variance)))
        ),
        variance=np.append(draws.variance, np.full(rest, variance)),
        outcomes=np.append(draws.outcomes, np.full(rest, mean)),
    )


class _Gambler(NamedTuple):
    """What `ever_reaches` is told of the draws and the stakes, in its order."""

    scores: Floats
    outcomes: Floats
    floors: Floats
    stakes: Floats
    shares: Floats
    goal: float


def _gambler(draws: Draws, confidence: float) -> _Gambler:
    shares = np.full(len(EDGES) + 1, (1.0 - PLANNED_SHARE) / len(EDGES))
    shares[-1] = PLANNED_SHARE
    goal = 1.0 / (1.0 - confidence)
    return _Gambler(
        scores=draws.scores,
        outcomes=draws.outcomes,
        floors=draws.floor,
        stakes=_stakes(draws, goal),
        shares=shares,
        goal=goal,
    )


def _stakes(draws: Draws, goal: float) -> Floats:
    """Return what is best to stake on each draw for each edge that is looked for, (n, bettors)."""
    variance = np.maximum(draws.variance, VARIANCE_MIN)
    count = np.arange(1.0, len(variance) + 1.0)
    known = count / np.cumsum(1.0 / variance)
    edges = np.empty((len(variance), len(EDGES) + 1))
    edges[:, :-1] = EDGES
    edges[:, -1] = np.sqrt(2.0 * np.log(goal) * known / _planned(draws.planned, count))
    stakes: Floats = edges / (variance[:, None] + edges**2)
    return stakes


def _planned(planned: int, count: Floats) -> Floats:
    """Return how many draws are planned when draw number `count`, from 1, is made, (n,)."""
    first = max(planned, 1)
    doublings = np.ceil(np.log2(np.maximum(count / first, 1.0)))
    found: Floats = first * 2.0**doublings
    return found


def _drawn(draws: Draws) -> float:
    return 0.0 if draws.population is None else 1.0 / max(draws.population, 1)
