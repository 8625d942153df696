"""Training that cannot end well, or is not wanted any more, on a real Ray."""

import errno
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest
import ray
from ray._common.test_utils import wait_for_condition
from ray.train import ControllerError, WorkerGroupError

from cluster import paths
from cluster.domain.jobs import JobState
from cluster.domain.models import ZERO_SHOT
from cluster.errors import JobCancelled, TrainingFailed
from cluster.model_settings import LearningSettings, RolloutSettings
from cluster.settings import Settings
from cluster.storage_errors import StorageUnreachable
from cluster.stores.objects import open_objects
from tests.conformance.full_disks import full_disk
from tests.ray.training_driver import processes
from tests.unit.training.worlds import JOB, LINE, World
from training.building import build_snapshot
from training.config import ResNetHead
from training.job import reason_of
from training.plan import TrainingPlan
from training.recipes import image_small
from training.stage import LearnStage
from training.trainer import RayTrainer

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("training_cluster"),
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, learning=LearningSettings(workers=1))


@ray.remote(num_cpus=0)
class Runner:
    """A job's runner whose job is cancelled as soon as its training has stored something."""

    def fit(self, settings: Settings, plan: TrainingPlan) -> bool:
        """Return whether the run still goes on after the runner has stopped waiting for it."""
        runs = settings.data_dir / "objects" / plan.snapshot.folder / "runs"

        def heed() -> None:
            if any(runs.rglob("*.safetensors")):
                raise JobCancelled(plan.snapshot.job_id)

        trainer = RayTrainer(settings)
        with suppress(JobCancelled):
            trainer.fit(plan, heed)
        return trainer.is_at_work


def test_a_run_that_nobody_wants_any_more_ends_with_the_process_of_its_runner(
    settings: Settings,
) -> None:
    world = World.of_images(96, open_objects(settings.objects))
    head = ResNetHead(widths=(8, 16), epochs=2_000, steps_min=1, checkpoints=1_000)
    plan = TrainingPlan(
        snapshot=build_snapshot(world.stores, world.job, 1),
        recipe=replace(image_small(), head=head),
        seed=1,
    )
    actor: Any = Runner
    runner = actor.remote()

    assert ray.get(runner.fit.remote(settings, plan))
    assert processes("RayTrainWorker")
    ray.kill(runner)

    wait_for_condition(lambda: not processes("RayTrainWorker"), timeout=60)


def workers_started() -> int:
    """Return how many train workers there have been in this cluster, those that are gone too."""
    state: Any = ray._private.state
    return sum("RayTrainWorker" in each["ActorClassName"] for each in state.actors().values())


def drafts() -> set[Path]:
    """Return the folders of what runs on this machine have not stored yet."""
    return set(Path(gettempdir()).glob("muster-run-*"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ControllerError(TrainingFailed("run", "its loss is not finite")),
            "its loss is not finite",
        ),
        (ControllerError(OSError(errno.ENOSPC, "no space")), "there is no room"),
        (WorkerGroupError("", {1: StorageUnreachable("x")}), "its storage cannot be reached"),
        (
            WorkerGroupError("", {1: OSError("When uploading part")}),
            "its storage cannot be reached",
        ),
        (WorkerGroupError("", {0: ConnectionResetError()}), "it lost a worker 4 times"),
        (ControllerError(ValueError()), "Ray Train could not run it"),
    ],
)
def test_a_failure_is_told_in_words_of_its_own(error: Exception, said: str) -> None:
    assert reason_of(error).startswith(said)


def test_an_error_that_would_come_again_is_not_tried_again(settings: Settings) -> None:
    world = World.of_images(96, open_objects(settings.objects))
    head = ResNetHead(widths=(4, 8), epochs=4, steps_min=1, learning_rate=1e38)
    plan = TrainingPlan(
        snapshot=build_snapshot(world.stores, world.job, 1),
        recipe=replace(image_small(), head=head),
        seed=1,
    )
    before = workers_started()

    with pytest.raises(TrainingFailed, match="its loss is not finite"):
        RayTrainer(settings).fit(plan)

    assert workers_started() - before == 1


def test_a_disk_that_is_full_while_a_run_is_saved_is_a_clear_error_and_the_live_model_stays(
    settings: Settings,
) -> None:
    # Given a job of which nothing more can be stored than its snapshot
    world = World.of_images(96, open_objects(settings.objects))
    snapshot = build_snapshot(world.stores, world.job, 1)
    before, left = workers_started(), drafts()
    trainer = RayTrainer(settings)
    stage = LearnStage(world.stores, trainer, "0.1.0", RolloutSettings(), warm=lambda _: None)
    runs = settings.data_dir / "objects" / snapshot.folder / "runs"
    # When it learns
    with full_disk("full file system", runs):
        state = stage.run(world.desk())
    # Then it goes on asking, its owner reads why, and nothing is tried twice or left behind
    assert (state, world.stores.models.live(LINE).spec.version) == (JobState.ASKING, ZERO_SHOT)
    (event,) = world.stores.events.read(JOB, 0, 100)
    assert event.kind == "learn.failed"
    assert "there is no room to save a checkpoint" in event.message
    assert workers_started() - before == 1
    assert drafts() <= left
    assert not list(world.stores.objects.list(paths.model(LINE, 1)))
    # And it learns once there is room
    assert stage.run(world.desk()) in {JobState.ASKING, JobState.PRELABELLING}
    assert [each.spec.version for each in world.stores.models.versions(LINE)] == [ZERO_SHOT, 1]
