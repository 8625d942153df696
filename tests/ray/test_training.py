"""Training on a real Ray: the model of one process, whatever is killed on the way."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from ray._common.test_utils import wait_for_condition
from ray.exceptions import RayActorError

from cluster.settings import Settings
from cluster.stores.objects import open_objects
from tests.unit.training.worlds import World
from training.building import build_snapshot
from training.config import ResNetHead
from training.local import LocalTrainer
from training.plan import TrainedModel, TrainingPlan
from training.recipes import image_small, text_head
from training.trainer import RayTrainer

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("training_cluster"),
]


@ray.remote(num_cpus=0)
class Runner:
    """A job's runner: an actor that trains on one of its threads."""

    def fit(self, settings: Settings, plan: TrainingPlan) -> TrainedModel:
        return RayTrainer(settings).fit(plan)

    def pid(self) -> int:
        return os.getpid()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def runner() -> Any:
    actor: Any = Runner
    return actor.options(max_concurrency=2).remote()


def image_plan(settings: Settings, seed: int = 1) -> TrainingPlan:
    """Return a run of some seconds that is saved ten times on its way."""
    world = World.of_images(96, open_objects(settings.objects))
    head = ResNetHead(widths=(8, 16), epochs=40, steps_min=1, checkpoints=10)
    return TrainingPlan(
        snapshot=build_snapshot(world.stores, world.job, 1),
        recipe=replace(image_small(), head=head, rows_per_worker_min=1),
        seed=seed,
    )


def saves(settings: Settings, plan: TrainingPlan) -> set[str]:
    """Return the names of the checkpoints that are stored now."""
    run = settings.data_dir / "objects" / plan.snapshot.folder / "runs" / plan.name
    return {found.parent.name for found in run.glob("checkpoint_*/*.safetensors")}


def train_workers() -> list[int]:
    """Return the processes that train in the cluster of this test, and in no other."""
    node: Any = ray._private.worker.global_worker.node
    (raylet,) = (info.process.pid for info in node.all_processes["raylet"])
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            title = (folder / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == raylet and "RayTrainWorker" in title:
            found.append(int(folder.name))
    return found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    settings = Settings(data_dir=tmp_path_factory.mktemp("uninterrupted"))
    trained: TrainedModel = ray.get(runner().fit.remote(settings, image_plan(settings)))
    return trained


def test_two_workers_train_the_model_of_one_process(settings: Settings) -> None:
    objects = open_objects(settings.objects)
    world = World.after_round(objects=objects)
    snapshot = build_snapshot(world.stores, world.job, 1)
    recipe = replace(text_head(), rows_per_worker_min=1)
    plan = TrainingPlan(snapshot=snapshot, recipe=recipe, seed=1)
    here = LocalTrainer(objects).fit(plan)

    there: TrainedModel = ray.get(runner().fit.remote(settings, plan))
    again: TrainedModel = ray.get(runner().fit.remote(settings, plan))

    np.testing.assert_allclose(there.judged_probabilities, here.judged_probabilities, atol=2e-3)
    assert dict(there.metrics) == pytest.approx(dict(here.metrics), rel=1e-3)
    assert (again.weights, again.metrics) == (there.weights, there.metrics)


def test_a_run_whose_worker_is_killed_ends_with_the_same_weights(
    settings: Settings, uninterrupted: TrainedModel
) -> None:
    plan = image_plan(settings)
    running = runner().fit.remote(settings, plan)
    wait_for_condition(lambda: bool(saves(settings, plan)), timeout=300)

    os.kill(train_workers()[-1], signal.SIGKILL)

    trained: TrainedModel = ray.get(running)
    assert trained.weights == uninterrupted.weights
    np.testing.assert_array_equal(trained.judged_probabilities, uninterrupted.judged_probabilities)


def test_a_run_whose_runner_is_killed_goes_on_in_the_next_one(
    settings: Settings, uninterrupted: TrainedModel
) -> None:
    plan = image_plan(settings)
    first = runner()
    running = first.fit.remote(settings, plan)
    wait_for_condition(lambda: bool(saves(settings, plan)), timeout=300)

    os.kill(ray.get(first.pid.remote()), signal.SIGKILL)
    with pytest.raises(RayActorError):
        ray.get(running)
    wait_for_condition(lambda: not train_workers(), timeout=60)

    assert saves(settings, plan)
    trained: TrainedModel = ray.get(runner().fit.remote(settings, plan))
    assert trained.weights == uninterrupted.weights
