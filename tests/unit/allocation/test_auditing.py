"""An audit that grows until it proves the goal, or until that is not to be had."""

from dataclasses import replace

import numpy as np

from allocation.audit_plan_file import kept_plan
from allocation.auditing import auditable
from allocation.sampling import uniform_plan
from allocation.spending import Spending
from cluster.domain.jobs import Budget, CrowdTerms, Goal, JobState
from cluster.domain.work import AnswerColumns
from tests.unit.allocation.crowds import CrowdWorld
from tests.unit.allocation.test_campaign import answer
from tests.unit.allocation.worlds import JOB, job, worker

CROWD = (0.97, 0.96, 0.97, 0.95, 0.96, 0.97)
REVIEWED = CrowdTerms(
    audit_skills=frozenset({"reviewer"}),
    audit_share=0.05,
    audit_items_min=40,
    audit_items_max=300,
    audit_answers_max=1,
)


def world(crowd: CrowdTerms = REVIEWED, budget: Budget | None = None) -> CrowdWorld:
    """Return a job whose reviewers are always right, with a crowd that mostly is."""
    goal = Goal(accuracy=0.93, proven=True)
    spec = replace(job().spec, goal=goal, crowd=crowd, budget=budget or Budget())
    given = CrowdWorld(spec, 1_200, CROWD, np.random.default_rng(4))
    given.predict(accuracy=0.8)
    given.workers = [*given.workers, worker("expert", skills=("reviewer",))]
    given.accuracies = (*CROWD, 1.0)
    return given


def run(given: CrowdWorld) -> list[str]:
    """Run the job's asking to its end and return what was told of its audit."""
    assert given.stage().run(given.desk()) is JobState.EXPORTING
    events = given.stores.events.read(JOB, 0, 1_000)
    kinds = {"audit.widened", "certificate.short", "goal.raised"}
    return [event.kind for event in events if event.kind in kinds]


def test_a_job_audits_on_until_its_goal_is_proven() -> None:
    # Given a job whose sixty planned audits cannot prove its goal
    given = world()
    # When it runs
    told = run(given)
    # Then it audited more, and its certificate holds the goal
    found = given.stores.jobs.load(JOB).certificate
    assert found is not None
    assert {"audit.widened", "goal.raised"} <= set(told)
    assert found.overall.accuracy_lower >= 0.93
    assert 60 < found.overall.audited <= 300


def test_a_job_that_may_not_audit_more_says_that_it_is_short() -> None:
    # Given the same job, whose audits are all it may have
    given = world(replace(REVIEWED, audit_items_max=60))
    # When it runs
    told = run(given)
    # Then it ends short of its goal, and has said so
    found = given.stores.jobs.load(JOB).certificate
    assert found is not None
    assert told == ["certificate.short"]
    assert found.overall.accuracy_lower < 0.93


def test_a_job_audits_no_more_than_its_budget_pays_for() -> None:
    plan = uniform_plan(1_000, replace(REVIEWED, audit_share=0.04), seed=1)
    paid = AnswerColumns.of([answer(at, 0, "w", price=0.5) for at in range(10)])

    def most(budget: Budget, answers: int, still_open: int) -> int:
        spending = Spending(budget=budget, answers=paid)
        return auditable(plan, spending, answers, still_open)

    assert len(plan.order) == 40
    assert len(plan.more) == 240
    assert most(Budget(), 3, 0) == 280
    assert most(Budget(answers_max=40), 3, 0) == 50
    assert most(Budget(answers_max=40), 3, 12) == 46
    assert most(Budget(cost_max=10.0), 1, 0) == 50


def test_who_comes_later_audits_the_same_items_next() -> None:
    # Given a plan that was stored
    given = world()
    first = kept_plan(given.stores, given.stores.jobs.load(JOB), None)
    # When another process reads it
    again = kept_plan(given.stores, given.stores.jobs.load(JOB), None)
    # Then it has the same items, and the same ones next
    assert np.array_equal(first.order, again.order)
    assert np.array_equal(first.more, again.more)
    assert len(np.intersect1d(first.order, first.more)) == 0
    assert np.array_equal(first.wider(25).order, np.append(first.order, first.more[:25]))
