"""Cost, time and accuracy of a job, by replaying crowds drawn from a pilot through the service."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from allocation.quality.votes import Floats
from allocation.sampling import audited_items
from cluster.domain.jobs import CrowdTerms
from serve_apps.backtest.replay import FrontierPoint
from serve_apps.backtest.run import backtest
from serve_apps.forecast.pilot import Pilot

OUT_OF_REACH = 0.9999
"""A goal no replicate meets, so that each shows its whole frontier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The job to be forecast: `price` of one answer, `answer_s` of work for one, `workers` at once.

    `workers` are those at work on average, so 50 people for a quarter of the day are 12.5.
    """

    items: int
    price: float = 0.0
    answer_s: float = 10.0
    workers: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The median over replicates and the range that holds nine of ten; None where never reached."""

    low: float | None
    middle: float | None
    high: float | None

    @classmethod
    def of(cls, values: Floats) -> "Interval":
        """Summarise replicates; infinite values are those that never got there."""
        ranked = np.quantile(values, (0.05, 0.5, 0.95), method="nearest")
        low, middle, high = (float(value) if np.isfinite(value) else None for value in ranked)
        return cls(low=low, middle=middle, high=high)

    def times(self, factor: float, plus: float = 0.0) -> "Interval":
        """Return the interval on another scale."""
        low, middle, high = (
            None if value is None else value * factor + plus
            for value in (self.low, self.middle, self.high)
        )
        return Interval(low=low, middle=middle, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What one goal would take; `hours` from the first question to the last answer.

    `reached_share` is the share of replicates that got to expect the goal, `accuracy` what theirs
    really was then. Audits are in `answers`, `cost` and `hours`, not in `answers_per_item`.
    """

    goal: float
    reached_share: float
    answers_per_item: Interval
    accuracy: Interval
    answers: Interval
    cost: Interval
    hours: Interval


def forecast(
    pilot: Pilot,
    plan: Plan,
    goals: Sequence[float],
    *,
    crowd: CrowdTerms,
    replicates: int,
    seed: int,
    on_replicate: Callable[[int], None] = lambda _: None,
) -> tuple[Outlook, ...]:
    """Return the outlook for each goal."""
    frontiers = []
    for number in range(replicates):
        frontiers.append(_frontier(pilot, crowd, seed + number))
        on_replicate(number + 1)
    audits = audited_items(plan.items, crowd) * crowd.audit_answers_max
    return tuple(_outlook(goal, frontiers, plan, audits) for goal in goals)


def _frontier(pilot: Pilot, crowd: CrowdTerms, seed: int) -> tuple[FrontierPoint, ...]:
    prepared, answerers = pilot.replicate(np.random.default_rng(seed))
    return backtest(
        prepared,
        target_accuracy=OUT_OF_REACH,
        answers_max=None,
        seed=seed,
        crowd=crowd,
        answerers=answerers,
    ).frontier


def _outlook(
    goal: float, frontiers: Sequence[tuple[FrontierPoint, ...]], plan: Plan, audits: int
) -> Outlook:
    found = [reached(goal, frontier) for frontier in frontiers]
    there = [point for point in found if point is not None]
    per_item = Interval.of(
        np.array([np.inf if point is None else label_answers(point) for point in found])
    )
    answers = per_item.times(plan.items, plus=audits)
    return Outlook(
        goal=goal,
        reached_share=len(there) / len(frontiers),
        answers_per_item=per_item,
        accuracy=Interval.of(np.array([point.accuracy or 0.0 for point in there] or [np.inf])),
        answers=answers,
        cost=answers.times(plan.price),
        hours=answers.times(plan.answer_s / plan.workers / 3600.0),
    )


def reached(goal: float, frontier: tuple[FrontierPoint, ...]) -> FrontierPoint | None:
    """Return the first point from which on the job would have expected its goal met."""
    below = [at for at, point in enumerate(frontier) if point.expected_accuracy < goal]
    first = below[-1] + 1 if below else 0
    return frontier[first] if first < len(frontier) else None


def label_answers(point: FrontierPoint) -> float:
    """Return the answers an item that were given towards labels."""
    return point.answers_per_item - point.audit_answers_per_item
