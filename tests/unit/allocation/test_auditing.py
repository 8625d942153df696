"""An audit that grows until it proves the goal, or until that is not to be had."""

from dataclasses import replace

import numpy as np
import pytest

from allocation.audit_plan_file import kept_plan
from allocation.auditing import AIM_STEP, AuditCourse
from allocation.campaign import Campaign
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


def world(crowd: CrowdTerms = REVIEWED, budget: Budget | None = None, seed: int = 3) -> CrowdWorld:
    """Return a job whose reviewers are always right, with a crowd that mostly is."""
    goal = Goal(accuracy=0.93, proven=True)
    spec = replace(job().spec, goal=goal, crowd=crowd, budget=budget or Budget())
    given = CrowdWorld(spec, 1_200, CROWD, np.random.default_rng(seed))
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
    paid = [answer(at, 0, "w", price=0.5) for at in range(10)]

    def most(budget: Budget, answers: int, already: int) -> int:
        audits = [
            answer(int(at), 0, f"a{n}", "audit", 0.5) for at in plan.order for n in range(answers)
        ]
        given = AnswerColumns.of([*paid, *audits[:already]])
        return AuditCourse(plan, answers).items_max(Spending(budget=budget, answers=given))

    assert len(plan.order) == 40
    assert len(plan.more) == 240
    assert most(Budget(), 3, 120) == 280
    assert most(Budget(answers_max=160), 3, 120) == 50
    assert most(Budget(answers_max=160), 3, 108) == 50
    assert most(Budget(cost_max=30.0), 1, 40) == 50


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


def test_audits_that_were_added_are_known_to_who_takes_over() -> None:
    # Given a job that is killed while it waits for audits that it has added
    given = world()
    stage, looks = given.stage(), iter(range(3))

    def killed(seconds: float) -> None:
        events = given.stores.events.read(JOB, 0, 1_000)
        widened = any(event.kind == "audit.widened" for event in events)
        if widened and next(looks, None) is None:
            raise KeyboardInterrupt
        given.wait(seconds)

    stage._wait = killed
    with pytest.raises(KeyboardInterrupt):
        stage.run(given.desk())
    before = given.stores.answers.read(JOB, 0, 100_000)
    assert len(np.unique(before.positions[before.audit])) > 60

    # When another one goes on
    run(given)

    # Then what it certifies rests on every audit that was bought, and is true
    bought = given.stores.answers.read(JOB, 0, 100_000)
    found = given.stores.jobs.load(JOB).certificate
    assert found is not None
    assert found.overall.audited == len(np.unique(bought.positions[bought.audit]))
    assert 0.93 <= found.overall.accuracy_lower <= given.accuracy()


def test_audits_that_nobody_gives_are_not_waited_for() -> None:
    # Given a job whose reviewers leave once the planned audits are in
    given = world()
    stage = given.stage()

    def left(seconds: float) -> None:
        answers = given.stores.answers.read(JOB, 0, 100_000)
        if int(answers.audit.sum()) >= 60:
            given.workers, given.accuracies = given.workers[: len(CROWD)], CROWD
        given.wait(seconds)

    stage._wait = left

    # When it runs
    assert stage.run(given.desk()) is JobState.EXPORTING

    # Then it has said that nobody came, and ends by what was planned
    found = given.stores.jobs.load(JOB).certificate
    kinds = [event.kind for event in given.stores.events.read(JOB, 0, 1_000)]
    assert found is not None
    assert found.overall.audited == 60
    assert {"audit.widened", "audit.ended"} <= set(kinds) or "goal.raised" in kinds


@pytest.mark.parametrize("wrong", [0, 3, 8])
def test_labels_are_to_be_as_sure_as_the_first_step_that_would_prove_the_goal(wrong: int) -> None:
    # Given a job of which a reviewer has audited the planned items
    spec = replace(job().spec, goal=Goal(accuracy=0.9, proven=True), crowd=REVIEWED)
    given = Campaign(spec, 1_200, trainings_max=0)
    given.set_model(1, np.tile([0.9, 0.06, 0.04], (1_200, 1)))
    audits = [
        answer(int(at), int(n < wrong), "expert", "audit") for n, at in enumerate(given.audit.asked)
    ]
    given.absorb(AnswerColumns.of(audits))
    given.refit()
    evidence = given._evidence()

    # Then of all steps above the aim that one is taken by which the goal would be proven, or none
    steps = np.arange(0.85 + AIM_STEP, 0.995 + 1e-9, AIM_STEP).tolist()
    reached = [evidence.reach(step, items_max=300)[-1].accuracy for step in steps]
    assert reached == sorted(reached)
    for goal in (0.8, 0.88, 0.9, 0.93, 0.96, 0.999):
        enough = [step for step, bound in zip(steps, reached, strict=True) if bound >= goal]
        raised = evidence._raised(goal, 0.85, 0.995, items_max=300)
        assert raised == (enough[0] if enough else 0.85)


def test_nothing_is_foreseen_before_the_first_audit() -> None:
    given = Campaign(replace(job().spec, crowd=REVIEWED), 1_200, trainings_max=0)
    given.refit()
    assert given.reach() == ()
    assert given._evidence()._raised(0.9, 0.85, 0.99, items_max=300) == 0.85


def test_what_is_proven_is_true() -> None:
    # Given ten jobs that go on until their goal is proven, whose reviewers know best
    claimed, reached = [], []
    for seed in range(10):
        given = world(seed=seed)
        run(given)
        found = given.stores.jobs.load(JOB).certificate
        assert found is not None
        claimed.append(found.overall.accuracy_lower)
        reached.append(given.accuracy())
    # Then most are, and none is less accurate than it claims
    assert sum(bound >= 0.93 for bound in claimed) >= 6
    assert sum(bound > true for bound, true in zip(claimed, reached, strict=True)) == 0


@pytest.mark.parametrize("reviewed", [True, False])
def test_a_model_too_sure_of_itself_is_found_out_by_the_audit(*, reviewed: bool) -> None:
    # Given a model that claims .95 of every label and is right on .8, so that all go out at once
    skills = frozenset({"reviewer"}) if reviewed else frozenset[str]()
    crowd = replace(REVIEWED, audit_skills=skills, audit_answers_max=1 if reviewed else 3)
    spec = replace(job().spec, goal=Goal(accuracy=0.9), crowd=replace(crowd, audit_items_max=60))
    given = CrowdWorld(spec, 800, CROWD, np.random.default_rng(100))
    given.predict(accuracy=0.8, sure=0.95)
    given.workers = [*given.workers, worker("expert", skills=("reviewer",))]
    given.accuracies = (*CROWD, 1.0)

    # When the job runs
    run(given)

    # Then what was delivered is asked about after all, and corrected
    found = given.stores.jobs.load(JOB).certificate
    assert found is not None
    assert given.accuracy() > 0.87
    assert found.overall.accuracy_lower <= given.accuracy()
    assert any(event.kind == "labels.recalled" for event in given.stores.events.read(JOB, 0, 1_000))
