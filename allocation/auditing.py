"""What a job's audit proves of its labels, and how much more of it would prove the goal.

A job audits the items of its plan. Where its labels are expected to meet the goal and these do not
prove it, more items are audited: as many again each time, as long as that is likely to do, the
budget pays for it, and somebody comes for them. The bound holds whenever one stops
(`allocation.quality.bound`), so that to look before going on costs nothing.
"""

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from allocation.quality import dawid_skene
from allocation.quality.audit import Audit, Graded, Labels, certified, drawn, reachable
from allocation.quality.bound import Draws
from allocation.quality.certificate import graded_by_crowd
from allocation.quality.fusion import Truth, Witnesses
from allocation.quality.votes import Bools
from allocation.reference import graded_by_reviewers
from allocation.sampling import AuditPlan, Positions, mask_of
from allocation.spending import Spending
from cluster.domain.jobs import Certificate
from cluster.domain.work import AnswerColumns

AIM_STEP = 0.005


class Reach(NamedTuple):
    """About the accuracy that can be certified by so many audited items."""

    audited: int
    accuracy: float


class AuditCourse:
    """Which items of a job's plan are audited by now; more may be added to those planned."""

    def __init__(self, plan: AuditPlan, audit_answers_max: int) -> None:
        self.plan, self._answers_max = plan, audit_answers_max
        self.planned, self.has_ended = len(plan.order), False
        self.held_out = mask_of(len(plan.weights), plan.order)

    @property
    def mask(self) -> Bools:
        """Which items are audited, whether or not they are still asked about, (items,)."""
        return mask_of(len(self.plan.weights), self.plan.order)

    @property
    def asked(self) -> Positions:
        """The items that are to have all their audit answers."""
        return self.plan.order[: self.planned] if self.has_ended else self.plan.order

    def add(self, items: int) -> None:
        """Audit so many more items."""
        self.plan = self.plan.wider(items)

    def note(self, answers: AnswerColumns) -> None:
        """Take answers in: who takes over finds by them which items were added."""
        self.plan = self.plan.reaching(answers.positions[answers.audit])

    def end(self) -> bool:
        """Ask no more about items that were added; return whether there were any."""
        ends = not self.has_ended and len(self.plan.order) > self.planned
        self.has_ended = self.has_ended or ends
        return ends

    def open_answers(self, answers: AnswerColumns) -> int:
        """Return how many audit answers are wanted still, as shards count, copiers' included."""
        return int(self.wanted(answers).sum())

    def wanted(self, answers: AnswerColumns) -> Positions:
        """Return how many more audit answers each item is to have, (items,)."""
        given = np.bincount(answers.positions[answers.audit], minlength=len(self.plan.weights))
        asked = mask_of(len(self.plan.weights), self.asked)
        return np.where(asked, np.maximum(self._answers_max - given, 0), 0)

    def is_half_done(self, answers: AnswerColumns) -> bool:
        """Return whether half the answers that the audit takes are given, or more."""
        return 2 * self.open_answers(answers) <= self._answers_max * len(self.plan.order)

    def items_max(self, spending: Spending) -> int:
        """Return how many items the budget lets the job audit in all."""
        plan, most = self.plan, len(self.plan.order) + len(self.plan.more)
        if not spending.is_limited:
            return most
        left, price = spending.left, spending.price_likely
        money = left[1] / price if price > 0.0 else np.inf
        answers = min(left[0], money, most * self._answers_max)
        more = (answers - self.open_answers(spending.answers)) // self._answers_max
        return len(plan.order) + int(more)


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """All that an audit is judged by, which is graded once.

    That is the plan, `planned` items of it before the first answer, and what is believed (`truth`)
    by what was said (`witnesses`).
    """

    plan: AuditPlan
    planned: int
    truth: Truth
    witnesses: Witnesses
    confidence: float

    @cached_property
    def certificate(self) -> Certificate:
        """What the audit proves so far about the labels as they stand before it."""
        audit, graded = self._graded
        return certified(audit, graded, confidence=self.confidence)

    def reach(self, accuracy: float, *, items_max: int) -> tuple[Reach, ...]:
        """Return what can be certified by the items of the plan, by twice as many, and so on.

        The last is that of `items_max`, or of all that may be audited. Items still to come are
        taken to be right with probability `accuracy`. Empty before the first answer of an audit.
        """
        if (draws := self._draws) is None:
            return ()
        confidence = self._graded[1].confidence
        return tuple(
            Reach(size, reachable(draws, accuracy=accuracy, audited=size, confidence=confidence))
            for size in self._sizes(items_max)
        )

    def pursuit(
        self, goal: float, aim: float, surest: float, *, items_max: int
    ) -> tuple[int, float]:
        """Return how many more items to audit, and how sure to make labels, to prove a goal.

        None and no surer than the goal once it is proven. Else more audits, where they are likely
        to do, and else an `aim` above that before, `surest` at most, where that is.
        """
        if self.certificate.overall.accuracy_lower >= goal:
            return 0, goal
        items = self._wanting(goal, items_max=items_max)
        return items, aim if items else self._raised(goal, aim, surest, items_max=items_max)

    def _wanting(self, goal: float, *, items_max: int) -> int:
        """Return how many more items to audit, others being right as often as those seem to be."""
        estimate, planned = self.certificate.overall.accuracy_estimate, len(self.plan.order)
        reach = self.reach(estimate, items_max=items_max)
        enough = [found.audited for found in reach if found.accuracy >= goal]
        return min(enough[0], 2 * planned) - planned if enough else 0

    def _raised(self, goal: float, aim: float, surest: float, *, items_max: int) -> float:
        """Return how sure labels must be for all that may be audited to prove the goal."""
        if (draws := self._draws) is None:
            return aim
        most, confidence = self._sizes(items_max)[-1], self._graded[1].confidence

        def bound(accuracy: float) -> float:
            return reachable(draws, accuracy=accuracy, audited=most, confidence=confidence)

        accuracies = np.arange(aim + AIM_STEP, surest + 1e-9, AIM_STEP).tolist()
        found = bisect_left(accuracies, goal, key=bound)
        return float(accuracies[found]) if found < len(accuracies) else aim

    def _sizes(self, items_max: int) -> list[int]:
        """Return how many items may be audited: those of the plan, twice as many, up to all."""
        most = max(min(len(self.plan.order) + len(self.plan.more), items_max), 1)
        return _doubled(max(len(self.plan.order), 1), most)

    @cached_property
    def _draws(self) -> Draws | None:
        return drawn(*self._graded)

    @cached_property
    def _graded(self) -> tuple[Audit, Graded]:
        given, log_label = self.witnesses, self.truth.log_label
        audited = self.plan.audited(given.audit_votes.answers_per_item() > 0)
        audit = Audit(
            labels=Labels(
                codes=log_label.argmax(axis=1),
                auto=given.label_votes.answers_per_item() == 0,
                believed=np.exp(log_label.max(axis=1)),
            ),
            positions=audited,
            votes=given.audit_votes.on(audited),
            planned=self.planned,
            weights=self.plan.weights,
        )
        if given.reviewed:
            return audit, graded_by_reviewers(audit, confidence=self.confidence)
        counts = dawid_skene.expected_counts(given.label_votes, np.exp(log_label))
        return audit, graded_by_crowd(audit, counts, confidence=self.confidence)


def _doubled(first: int, last: int) -> list[int]:
    """Return a number, its doubles below the last one, and the last one."""
    sizes = [first]
    while sizes[-1] < last:
        sizes.append(min(2 * sizes[-1], last))
    return sizes
