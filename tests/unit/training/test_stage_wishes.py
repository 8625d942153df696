"""What a job's owner wishes, and what the job has left, while its model is trained."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cluster.domain.ids import JobId, ModelName
from cluster.domain.jobs import Budget, Job
from cluster.domain.models import ZERO_SHOT, ModelSpec
from cluster.errors import JobCancelled, JobPaused, StoreBusy, TrainingFailed
from cluster.model_settings import RolloutSettings
from cluster.runner import JobDesk
from tests.unit.training.worlds import JOB, LINE, StepClock, World
from training.heed import Heed, unheeded
from training.local import LocalTrainer
from training.plan import TrainedModel, Trainer, TrainingPlan, Tuner
from training.search import UNLIMITED, Allowance
from training.stage import LearnStage


def stage(world: World, trainer: Trainer, tuner: Tuner | None = None) -> LearnStage:
    return LearnStage(world.stores, trainer, "0.1.0", RolloutSettings(), _nowhere, tuner)


def _nowhere(_: ModelSpec) -> None:
    """Load a version on no replica."""


class Interrupted:
    """A `Trainer` during whose run something happens, and that would never end by itself."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self._happens, self.heeded = happens, 0

    def fit(self, plan: TrainingPlan, heed: Heed = unheeded) -> TrainedModel:
        self._happens()
        for _ in range(3):
            heed()
            self.heeded += 1
        raise TrainingFailed(plan.name, "nobody wished that it should end")


def test_a_cancelled_job_learns_nothing() -> None:
    # Given a job that was cancelled before its model is trained
    world, begun = World.after_round(), list[str]()
    desk = world.desk()
    job = world.stores.jobs.load(JOB)
    world.stores.jobs.save(replace(job, cancel_requested=True))
    # When its stage is run, then it ends at once
    with pytest.raises(JobCancelled):
        stage(world, Interrupted(lambda: begun.append("a run"))).run(desk)
    # And nothing was trained
    assert begun == []


@pytest.mark.parametrize(
    ("wish", "heard"),
    [({"cancel_requested": True}, JobCancelled), ({"paused": True}, JobPaused)],
)
def test_a_wish_that_comes_while_a_model_is_trained_is_heard_then(
    wish: dict[str, bool], heard: type[Exception]
) -> None:
    world = World.after_round()
    jobs = world.stores.jobs
    trainer = Interrupted(lambda: jobs.save(replace(jobs.load(JOB), **wish)))  # type: ignore[arg-type]

    with pytest.raises(heard):
        stage(world, trainer).run(world.desk())

    assert trainer.heeded == 0
    assert [each.spec.version for each in world.stores.models.versions(LINE)] == [ZERO_SHOT]


def test_a_database_that_does_not_answer_for_a_while_ends_no_training() -> None:
    world = World.after_round()

    class Busy:
        """Jobs that can be read at the start and not while something is trained."""

        is_busy = False

        def __getattr__(self, name: str) -> object:
            return getattr(world.stores.jobs, name)

        def load(self, job_id: JobId) -> Job:
            if self.is_busy:
                self.is_busy = False
                raise StoreBusy("load")
            return world.stores.jobs.load(job_id)

    jobs = Busy()
    trainer = Interrupted(lambda: setattr(jobs, "is_busy", True))
    desk = JobDesk(jobs.load(JOB), jobs, world.stores.events, StepClock())  # type: ignore[arg-type]

    stage(world, trainer).run(desk)

    assert trainer.heeded == 3


class Frugal:
    """A `Tuner` that remembers what it was allowed."""

    allowance: Allowance | None = None

    def tuned(
        self,
        line: ModelName,  # noqa: ARG002
        plan: TrainingPlan,
        allowance: Allowance = UNLIMITED,
        heed: Heed = unheeded,  # noqa: ARG002
    ) -> TrainingPlan:
        self.allowance = allowance
        return plan


def test_what_is_looked_for_may_use_what_its_job_has_left() -> None:
    world, tuner = World.after_round(), Frugal()
    job = world.stores.jobs.load(JOB)
    budget = Budget(cost_max=50.0, deadline_s=5_000.0)
    spent = replace(job.progress, cost=20.0)
    world.stores.jobs.save(replace(job, spec=replace(job.spec, budget=budget), progress=spent))

    trainer = LocalTrainer(world.stores.objects)
    stage(world, trainer, tuner).run(world.desk())

    assert tuner.allowance is not None
    assert tuner.allowance.money == 30.0
    assert tuner.allowance.time_s == pytest.approx(4_000.0, abs=10.0)
