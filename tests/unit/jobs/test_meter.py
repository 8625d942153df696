"""What is told of jobs: once, whoever did the work, and truthfully after a restart."""

from dataclasses import replace

import pytest

from cluster.domain.ids import JobId
from cluster.domain.jobs import Certificate, Job, JobState, Progress, Stratum
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from cluster.telemetry import catalogue as told
from cluster.telemetry.memory import MemoryTelemetry
from serve_apps.jobs.meter import JOBS_TOLD_MAX, Meter
from tests.conformance import samples

NOW = 1_000.0


class World:
    """Jobs in a store, and a meter that looks at them."""

    def __init__(self) -> None:
        self.stores = memory_stores(MemoryObjects())
        self.telemetry = MemoryTelemetry()
        self.meter = Meter(self.telemetry, self.stores.jobs.load)

    def add(self, number: int = 1, state: JobState = JobState.ASKING, at: float = NOW) -> Job:
        job = replace(
            samples.job(number, samples.TENANT, state), created_at=at, progress=Progress()
        )
        return self.stores.jobs.create(job, None)

    def save(self, job: Job, state: JobState | None = None, **progress: float) -> Job:
        changed = replace(job, progress=Progress(**progress), state=state or job.state)  # type: ignore[arg-type]  # figures of Progress
        return self.stores.jobs.save(changed)

    def look(self, now: float, running: int = 1) -> None:
        self.meter.look(self.stores.jobs.unfinished(), now, running=running)


def test_what_a_job_does_is_counted_once_to_its_very_end() -> None:
    # Given a job that begins while the meter is there
    world = World()
    world.look(NOW - 1)
    job = world.add()
    world.look(NOW)
    # When it comes further, is looked at often, and ends between two looks
    job = world.save(job, items=100, rejected=3, answers=10, audit_answers=4, cost=2.5, final=8)
    for second in range(3):
        world.look(NOW + second)
    world.save(job, JobState.COMPLETED, items=100, rejected=3, answers=25, cost=5.0, final=100)
    world.look(NOW + 3)
    world.look(NOW + 4)
    # Then each figure is what the job came to
    total = world.telemetry.total
    assert total(told.ITEMS_INGESTED) == 100
    assert total(told.ITEMS_REFUSED, "rejected") == 3
    assert total(told.ANSWERS_BOUGHT, "audit") == 4
    assert total(told.LABELS_DELIVERED) == 100
    assert total(told.SPEND, samples.TENANT) == 5.0
    assert total(told.JOBS_ENDED, "completed") == 1


def test_a_meter_that_starts_anew_counts_from_where_jobs_are() -> None:
    world = World()
    job = world.save(world.add(at=NOW - 100), items=100, answers=40)
    world.look(NOW)
    assert world.telemetry.total(told.ITEMS_INGESTED) == 0
    world.save(job, items=100, answers=41)
    world.look(NOW + 1)
    assert world.telemetry.total(told.ANSWERS_BOUGHT, "label") == 1


def test_a_version_that_labels_again_is_counted_again() -> None:
    world = World()
    job = world.add(state=JobState.PRELABELLING)
    for done in (0, 60, 100, 0, 30):
        job = world.save(job, items=100, prelabelled=done)
        world.look(NOW)
    world.look(NOW + 10)
    assert world.telemetry.total(told.ITEMS_PRELABELLED) == 130
    assert world.telemetry.gauge(told.PRELABEL_BACKLOG) == 70


@pytest.mark.parametrize(("lower", "short"), [(0.94, 1), (0.95, 0)])
def test_a_certificate_below_its_goal_is_told(lower: float, short: int) -> None:
    world = World()
    job = world.add(state=JobState.EXPORTING)
    world.look(NOW)
    stratum = Stratum(
        name="overall", items=9, audited=9, accuracy_estimate=0.97, accuracy_lower=lower
    )
    certificate = Certificate(confidence=0.95, strata=(stratum,))
    spec = replace(job.spec, goal=replace(job.spec.goal, accuracy=0.95))
    ended = replace(job, spec=spec, certificate=certificate, state=JobState.COMPLETED)
    world.stores.jobs.save(ended)
    world.look(NOW + 1)
    assert world.telemetry.total(told.JOBS_SHORT) == short


def test_a_job_that_stands_still_grows_idle_and_one_that_is_only_saved_does_too() -> None:
    world = World()
    job = world.save(world.add(), items=10, answers=1)
    world.look(NOW)
    job = world.save(job, items=10, answers=1, open_questions=3)
    world.look(NOW + 60)
    idle = world.telemetry.gauge(told.JOB_IDLE, job.job_id, "asking")
    assert idle == 60
    world.save(job, items=10, answers=2)
    world.look(NOW + 120)
    assert world.telemetry.gauge(told.JOB_IDLE, job.job_id, "asking") == 0


def test_a_running_job_has_its_figures_and_a_paused_one_none() -> None:
    world = World()
    job = world.save(
        world.add(), items=10, final=4, cost=2.0, open_questions=7, expected_accuracy=0.9
    )
    other = world.add(2)
    world.stores.jobs.save(replace(other, paused=True))
    world.look(NOW, running=1)
    gauge, name = world.telemetry.gauge, job.job_id
    assert gauge(told.THOUSAND_COST, name) == 500.0
    assert gauge(told.JOB_EXPECTED, name) == 0.9
    assert gauge(told.JOB_OPEN, name) == 7
    assert gauge(told.JOB_ITEMS, name, "delivered") == 4
    assert gauge(told.JOB_GOAL, name) == job.spec.goal.accuracy
    assert gauge(told.JOB_CERTIFIED, name) is None
    assert gauge(told.JOB_OPEN, other.job_id) is None
    assert gauge(told.JOBS, "asking") == 2
    assert gauge(told.JOBS_PAUSED) == 1
    assert gauge(told.JOBS_WAITING) == 0


def test_only_so_many_jobs_have_figures_of_their_own() -> None:
    world = World()
    for number in range(1, JOBS_TOLD_MAX + 6):
        world.add(number)
    world.look(NOW)
    shown = [labels for name, labels in world.telemetry.gauges if name == told.JOB_GOAL.name]
    assert len(shown) == JOBS_TOLD_MAX
    oldest = world.stores.jobs.unfinished()[0].job_id
    assert (JobId(oldest),) in shown
