"""What a deadline does to pre-labelling: every item gets a label, and none a second one."""

from dataclasses import replace

from cluster.domain.jobs import Budget, JobState
from cluster.domain.models import ModelRecord
from cluster.ports import Stores
from tests.model_lines import go_live
from tests.unit.prelabel.support import JOB, MODEL, model_spec, predictor_over
from tests.unit.prelabel.test_stage import Replicas, predicted, run, some_stores


def set_deadline(stores: Stores, deadline_s: float) -> None:
    """Give the job a deadline, so long after second 0; clocks here begin at 1,000."""
    job = stores.jobs.load(JOB)
    stores.jobs.save(replace(job, spec=replace(job.spec, budget=Budget(deadline_s=deadline_s))))


def promote(stores: Stores) -> None:
    stores.models.add(ModelRecord(spec=model_spec(version=1), lineage=None, created_at=0.0))
    go_live(stores.lines, MODEL, 1)


def test_a_job_that_is_late_before_it_is_pre_labelled_is_pre_labelled_all_the_same() -> None:
    stores, _ = some_stores(chunks=3)
    set_deadline(stores, 1.0)

    state, job = run(stores, Replicas(predictor_over(stores.objects)))

    assert state is JobState.ASKING
    assert predicted(stores) == dict.fromkeys(range(3), 0)
    assert job.progress.prelabelled == 30


def test_a_late_job_is_not_pre_labelled_again_by_a_better_version() -> None:
    # Given a job that was pre-labelled, has learnt, and is late
    stores, _ = some_stores(chunks=3)
    replicas = Replicas(predictor_over(stores.objects))
    run(stores, replicas)
    promote(stores)
    set_deadline(stores, 1.0)
    replicas.submitted.clear()

    # When it is to be pre-labelled by the new version
    state, job = run(stores, replicas)

    # Then it goes on with what it has
    assert (state, replicas.submitted) == (JobState.ASKING, [])
    assert job.progress.prelabelled == 30


def test_pre_labelling_again_ends_at_the_deadline() -> None:
    # Given a job whose deadline passes while a new version is at its many chunks
    stores, _ = some_stores(chunks=40)
    replicas = Replicas(predictor_over(stores.objects))
    run(stores, replicas)
    promote(stores)
    set_deadline(stores, 1_010.0)

    # When it is pre-labelled again
    state, _ = run(stores, replicas)

    # Then some chunks are of the new version and the others keep what they had
    versions = predicted(stores)
    assert state is JobState.ASKING
    assert set(versions) == set(range(40))
    assert set(versions.values()) == {0, 1}
