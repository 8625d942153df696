"""What the asking stage tells a job's owner as events."""

from collections.abc import Sequence

from allocation.auditing import Reach
from allocation.conclusions import Standing
from allocation.vetting import Finding
from cluster.domain.jobs import Progress
from cluster.runner import JobDesk

NAMED_MAX = 20
"""Workers an event names; of more it gives the number."""


def warn_if_short(desk: JobDesk, reach: Sequence[Reach]) -> None:
    """Say that the audit cannot prove the goal as soon as it can be foreseen.

    Once, or again where it seemed to be able to in between.
    """
    goal, before = desk.job.spec.goal.accuracy, desk.job.progress.reachable_accuracy
    if not reach or max(found.accuracy for found in reach) >= goal:
        return
    if before is not None and before < goal:
        return
    frontier = ", ".join(f"{found.accuracy:.3f} by {found.audited:,} audits" for found in reach)
    desk.record(
        "certificate.short",
        f"the certificate can reach about {frontier}, not the goal of {goal:.3f}",
        reachable_accuracy=max(found.accuracy for found in reach),
        audited=reach[-1].audited,
        goal=goal,
    )


def accusation(found: Finding) -> str:
    """Return why workers are asked no more."""
    named = ", ".join(found.workers[:NAMED_MAX])
    more = len(found.workers) - NAMED_MAX
    whom = f"{named} and {more} more" if more > 0 else named
    if found.reason == "copying":
        return f"{whom} copy one another: their answers count for nothing, they are asked no more"
    return f"{whom}: their answers tell next to nothing, they are asked no more"


def record_round(desk: JobDesk, standing: Standing, progress: Progress) -> None:
    """Say where the campaign stood when it last wrote its consensus."""
    desk.record(
        "round",
        f"{standing.answers:,} answers, expected accuracy {standing.expected_accuracy:.3f}",
        round=progress.rounds,
        answers=standing.answers,
        audit_answers=standing.audit_answers,
        audits_open=standing.audits_open,
        asked=standing.asked,
        workers=standing.workers,
        paused=standing.paused,
        expected_accuracy=standing.expected_accuracy,
        temperature=standing.temperature,
        cost=standing.cost,
    )
