"""A job that begins with the model of an earlier one: what its line has learnt is known."""

from dataclasses import replace

import numpy as np
import pytest

from allocation.line_record import read_past
from allocation.retraining import TRAINING_S, Trained
from cluster.domain.ids import JobId
from cluster.domain.jobs import Goal, JobState
from cluster.domain.models import Lineage, ModelRecord, ModelSpec
from tests.unit.allocation.crowds import CrowdWorld
from tests.unit.allocation.worlds import job

EARLIER = JobId("job-0")
CROWD = (0.95, 0.9, 0.9, 0.85, 0.85, 0.8, 0.9, 0.9)


def a_later_job(asked: int, metrics: dict[str, float]) -> CrowdWorld:
    """Return a job whose line has a version that an earlier job has trained."""
    spec = replace(job().spec, goal=Goal(accuracy=0.85))
    world = CrowdWorld(spec, 240, CROWD, np.random.default_rng(11))
    progress = replace(world.desk().job.progress, asked=asked)
    world.stores.jobs.create(replace(job(EARLIER), progress=progress), None)
    world.stores.models.add(version_one(world, metrics))
    world.predict(accuracy=0.75)
    return world


def version_one(world: CrowdWorld, metrics: dict[str, float]) -> ModelRecord:
    found = world.desk().job
    spec = ModelSpec(
        name=found.model_name,
        version=1,
        base_model=found.spec.base_model,
        modality=found.spec.modality,
        label_set=found.spec.label_set,
        weights_path="models/one",
    )
    lineage = Lineage(
        job_id=EARLIER,
        round=1,
        parent=0,
        recipe="text_head",
        snapshot_path="jobs/job-0/snapshots/000001",
        snapshot_hash="",
        code_version="test",
        seed=0,
    )
    return ModelRecord(spec=spec, lineage=lineage, metrics=metrics, created_at=0.0)


def test_a_job_knows_what_its_line_has_learnt() -> None:
    given = a_later_job(1_000, {"train_items": 900, "log_loss": 0.5})

    past = read_past(given.stores, given.desk(), 0.5)

    assert past.trained == (Trained(rows=900, log_loss=0.5),)
    assert (past.earlier_rows, past.training_s, past.price_per_hour) == (1_000, TRAINING_S, 0.5)


def test_a_job_with_a_model_of_an_earlier_one_does_not_train_on_its_first_answers() -> None:
    # Given a line that knows ten times as many rows as this job has items
    given = a_later_job(2_400, {"train_items": 2_400, "log_loss": 0.5})

    # When the job runs
    state = given.stage(trainings_max=6).run(given.desk())

    # Then it ends without a training, as no more rows could come that would make one worth it
    assert state is JobState.EXPORTING
    assert given.desk().job.progress.trainings == 0
    assert given.accuracy() >= 0.85


def test_how_long_the_crowd_waited_is_noted_once() -> None:
    # Given a job of a line of which nothing is measured, that went learning and comes back
    given = a_later_job(10, {})
    stage = given.stage(trainings_max=1)
    assert stage.run(given.desk()) is JobState.LEARNING
    began_at = given.desk().job.progress.learning_since
    assert began_at == given.clock.now()
    given.clock.time += 90.0

    # When it asks again
    past = read_past(given.stores, given.desk(), 0.5)

    # Then the wait is what the next training is expected to take
    progress = given.desk().job.progress
    assert past.training_s == progress.learning_s == pytest.approx(90.0)
    assert progress.learning_since is None
