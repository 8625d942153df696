"""What a job's audit proves of its labels, and how much more of it would prove the goal.

A job audits the items of its plan. Where its labels are expected to meet the goal and these do not
prove it, more items are audited: as many again each time, as long as that is likely to do and the
budget pays for it. The bound holds whenever one stops (`allocation.quality.bound`), so that to look
before going on costs nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from allocation.quality import dawid_skene
from allocation.quality.audit import Audit, Graded, Labels, certified, reachable
from allocation.quality.certificate import graded_by_crowd
from allocation.quality.fusion import Truth, Witnesses
from allocation.reference import graded_by_reviewers
from allocation.sampling import AuditPlan
from allocation.spending import Spending
from cluster.domain.jobs import Certificate

AIM_STEP = 0.005
AIM_MAX = 0.995
"""No crowd is asked for more than this so that a goal is proven."""


class Reach(NamedTuple):
    """About the accuracy that can be certified by so many audited items."""

    audited: int
    accuracy: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evidence:
    """All that an audit is judged by: the plan, `planned` items of it before the first answer,
    and what is believed (`truth`) by what was said (`witnesses`).
    """

    plan: AuditPlan
    planned: int
    truth: Truth
    witnesses: Witnesses
    confidence: float

    def certificate(self) -> Certificate:
        """Return what the audit proves so far about the labels as they stand before it."""
        audit, graded = self._graded()
        return certified(audit, graded, confidence=self.confidence)

    def reach(self, accuracy: float, *, items_max: int) -> tuple[Reach, ...]:
        """Return what can be certified by the items of the plan, by twice as many, and so on.

        The last is that of `items_max`, or of all that may be audited. Items still to come are
        taken to be right with probability `accuracy`. Empty before the first answer of an audit.
        """
        audit, graded = self._graded()
        most = max(min(len(self.plan.order) + len(self.plan.more), items_max), 1)
        sizes = _doubled(max(len(self.plan.order), 1), most)
        bounds = [reachable(audit, graded, accuracy=accuracy, audited=size) for size in sizes]
        return tuple(
            Reach(size, bound)
            for size, bound in zip(sizes, bounds, strict=True)
            if bound is not None
        )

    def wanting(self, goal: float, *, items_max: int) -> int:
        """Return how many more items to audit, so that the goal is proven; 0 where nothing helps.

        Others than those audited are taken to be right as often as these seem to be.
        """
        overall, planned = self.certificate().overall, len(self.plan.order)
        if overall.accuracy_lower >= goal:
            return 0
        reach = self.reach(overall.accuracy_estimate, items_max=items_max)
        enough = [found.audited for found in reach if found.accuracy >= goal]
        return min(enough[0], 2 * planned) - planned if enough else 0

    def aim(self, goal: float, expected: float, *, items_max: int) -> float:
        """Return how sure labels must be for all that may be audited to prove the goal.

        It is `expected` where the goal is proven, or where no labels that a crowd can give would.
        """
        if self.certificate().overall.accuracy_lower >= goal:
            return expected
        for accuracy in np.arange(expected + AIM_STEP, AIM_MAX + AIM_STEP / 2, AIM_STEP).tolist():
            reach = self.reach(accuracy, items_max=items_max)
            if reach and reach[-1].accuracy >= goal:
                return float(accuracy)
        return expected

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


def auditable(plan: AuditPlan, spending: Spending, answers: int, open_answers: int) -> int:
    """Return how many items the budget lets a job audit in all, by so many answers each.

    `open_answers` are those that the planned ones still want.
    """
    if not spending.is_limited:
        return len(plan.order) + len(plan.more)
    left, price = spending.left, spending.price_likely
    money = left[1] / price if price > 0.0 else np.inf
    more = (min(left[0], money, len(plan.weights) * answers) - open_answers) // answers
    return len(plan.order) + int(more)


def _doubled(first: int, last: int) -> list[int]:
    """Return a number, its doubles below the last one, and the last one."""
    sizes = [first]
    while sizes[-1] < last:
        sizes.append(min(2 * sizes[-1], last))
    return sizes
