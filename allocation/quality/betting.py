"""The gambler behind `allocation.quality.bound`, compiled: one pass over the scores, no logarithm.

Wealth that sinks below the smallest double is lost for good, which can only weaken the bound.
"""

from numba import njit

from allocation.quality.votes import Floats

STAKE_MAX = 0.995
"""The largest share of its wealth that a bettor can lose on one score."""

ROOM_MIN = 1e-12


@njit(cache=True, nogil=True)
def ever_reaches(
    scores: Floats,
    outcomes: Floats,
    floors: Floats,
    stakes: Floats,
    shares: Floats,
    goal: float,
    mean: float,
    drawn: float,
) -> bool:
    """Return whether a gambler who bets on each score being above `mean` ever holds `goal`.

    The first wealth, 1, is split by `shares` over bettors, who stake `stakes` (n, bettors), never
    more than `STAKE_MAX` allows. `drawn` is an item's share of the population: where positive,
    `outcomes` are exact, and a mean that leaves less than 0 for those still to come is ruled out.
    """
    wealth = shares.copy()
    seen = 0.0
    for at in range(len(scores)):
        if mean < drawn * seen - ROOM_MIN:
            return True
        gain, total = scores[at] - mean, 0.0
        stake_max = STAKE_MAX / max(mean - floors[at], ROOM_MIN)
        for bettor in range(len(shares)):
            wealth[bettor] *= 1.0 + min(stakes[at, bettor], stake_max) * gain
            total += wealth[bettor]
        if total >= goal:
            return True
        seen += outcomes[at]
    return mean < drawn * seen - ROOM_MIN


@njit(cache=True, nogil=True)
def highest_ruled_out(
    scores: Floats,
    outcomes: Floats,
    floors: Floats,
    stakes: Floats,
    shares: Floats,
    goal: float,
    drawn: float,
    precision: float,
) -> float:
    """Return the highest mean below 1 for which `ever_reaches` is true, to a precision; or 0."""
    low, high = 0.0, 1.0
    while high - low > precision:
        middle = (low + high) / 2.0
        if ever_reaches(scores, outcomes, floors, stakes, shares, goal, middle, drawn):
            low = middle
        else:
            high = middle
    return low
