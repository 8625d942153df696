"""The audit plan of a job: drawn once, by what was known first, and the same ever after."""

from dataclasses import replace

import numpy as np
import pytest

from allocation.audit_plan_file import kept_plan
from allocation.log import read_all
from allocation.prediction_files import read_predictions
from allocation.sampling import AuditPlan, doubting_plan, uniform_plan
from cluster import paths
from cluster.domain.jobs import CrowdTerms, Goal
from cluster.domain.models import ZERO_SHOT
from tests.unit.allocation.crowds import CrowdWorld
from tests.unit.allocation.worlds import JOB, job
from training.consensus import audit_weights

ITEMS = 1_200
CROWD = CrowdTerms(audit_items_min=100, audit_answers_max=2)
SPEC = replace(job().spec, goal=Goal(accuracy=0.85), crowd=CROWD, seed=5)
DOUBTED = np.arange(ITEMS) % 6 == 0


@pytest.fixture
def given() -> CrowdWorld:
    """A job whose crowd is good."""
    return CrowdWorld(
        SPEC, ITEMS, (0.95, 0.9, 0.9, 0.85, 0.85, 0.8, 0.9, 0.9), np.random.default_rng(11)
    )


def kept(given: CrowdWorld) -> AuditPlan:
    """The plan a stage begins with."""
    asked = given.desk().job
    found = read_predictions(given.stores, JOB, ITEMS, len(SPEC.label_set))
    return kept_plan(given.stores, asked, found)


def ask_a_while(given: CrowdWorld) -> None:
    """Run a stage that is killed once the crowd has answered a little."""
    stage = given.stage()

    def killed(seconds: float) -> None:
        given.wait(seconds)
        raise KeyboardInterrupt

    stage._wait = killed
    with pytest.raises(KeyboardInterrupt):
        stage.run(given.desk())


def test_a_stage_that_dies_finds_its_plan_though_a_later_model_doubts_other_items(
    given: CrowdWorld,
) -> None:
    # Given a stage under a trained model that doubts every sixth item, killed while it asks
    given.predict(accuracy=0.9, sure=np.where(DOUBTED, 0.55, 0.999))
    ask_a_while(given)
    before = kept(given)

    # When a later model doubts the others, and more stages take over
    given.predict(accuracy=0.9, sure=np.where(DOUBTED, 0.999, 0.55), version=2)
    for _ in range(3):
        ask_a_while(given)

    # Then the plan is the first one, and no other item was audited
    after = kept(given)
    assert np.array_equal(before.order, after.order)
    assert np.array_equal(before.weights, after.weights)
    first = doubting_plan(np.where(DOUBTED, 0.55, 0.999), 0.85, CROWD, SPEC.seed)
    assert np.array_equal(before.order, first.order)
    assert len(np.unique(first.weights)) == 2
    answers = read_all(given.stores.answers, JOB, 0)
    audited = set(answers.positions[answers.audit])
    assert len(audited) > 12
    assert audited <= set(before.order)


@pytest.mark.parametrize("version", [ZERO_SHOT, None])
def test_without_a_trained_model_the_draw_is_uniform(
    given: CrowdWorld, version: int | None
) -> None:
    if version is not None:
        given.predict(accuracy=0.9, sure=np.where(DOUBTED, 0.55, 0.999), version=version)

    plan = kept(given)

    uniform = uniform_plan(ITEMS, CROWD, SPEC.seed)
    assert np.array_equal(plan.order, uniform.order)
    assert np.array_equal(plan.weights, uniform.weights)


def test_a_job_that_was_asked_about_before_plans_were_kept_stays_uniform(
    given: CrowdWorld,
) -> None:
    # Given a job with answers and no plan
    given.predict(accuracy=0.9, sure=np.where(DOUBTED, 0.55, 0.999))
    ask_a_while(given)
    given.stores.objects.delete(paths.audit_plan(JOB))

    # When a stage of today takes it over
    plan = kept(given)

    # Then the sample is what it was then
    assert np.array_equal(plan.order, uniform_plan(ITEMS, CROWD, SPEC.seed).order)


def test_the_promotion_gate_reads_the_weights_of_the_plan(given: CrowdWorld) -> None:
    nothing = audit_weights(given.stores.objects, JOB, np.arange(3))
    given.predict(accuracy=0.9, sure=np.where(DOUBTED, 0.55, 0.999))

    plan = kept(given)

    assert nothing is None
    weights = audit_weights(given.stores.objects, JOB, plan.order)
    assert weights is not None
    assert np.array_equal(weights, plan.weights[plan.order])
