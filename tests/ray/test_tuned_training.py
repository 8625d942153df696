"""Tuned encoders on a real Ray: workers that tune one encoder together."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray

from cluster.settings import Settings
from cluster.stores.objects import open_objects
from tests.unit.training.encoders import TINY_BERT, backbone, data_of, texts, tiny_hub
from tests.unit.training.worlds import Points, World
from training.building import build_snapshot
from training.config import TunedEncoder
from training.plan import TrainedModel, TrainingPlan
from training.recipes import text_lora
from training.snapshot import read_judged
from training.trainer import RayTrainer
from training.tuned import TunedModel

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

ITEMS = 320


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    hub = tmp_path_factory.mktemp("hub")
    with pytest.MonkeyPatch.context() as environment, tiny_hub(hub):
        environment.setenv("HF_HUB_CACHE", str(hub))
        environment.setenv("HF_HUB_OFFLINE", "1")
        environment.setenv("RAY_AUTH_MODE", "disabled")
        environment.setenv("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        environment.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "300")
        ray.init("local", include_dashboard=False, num_cpus=1, log_to_driver=False)
        yield
        ray.shutdown()


def fitted(folder: Path) -> tuple[TrainedModel, list[int]]:
    """Return what two workers make of a job's texts, in a service of its own.

    With it the items that the model is judged on, in their order.
    """
    settings = Settings(data_dir=folder)
    contents, labels = texts(ITEMS)
    points = Points(data_of(contents, labels, backbone()).features, labels)
    objects = open_objects(settings.objects)
    world = World.of_texts(points, contents, TINY_BERT, "lora", objects)
    recipe = text_lora(TINY_BERT)
    assert isinstance(recipe.head, TunedEncoder)
    head = replace(recipe.head, learning_rate=1e-2, epochs=12, patience=8, accumulation=2)
    plan = TrainingPlan(
        snapshot=build_snapshot(world.stores, world.job, 1),
        recipe=replace(recipe, head=head, rows_per_worker_min=1),
        seed=1,
    )
    assert plan.workers(settings.learning.workers) == 2
    judged = read_judged(objects, plan.snapshot)
    return RayTrainer(settings).fit(plan), judged.positions.tolist()


def test_two_workers_tune_one_encoder_and_would_again(tmp_path: Path) -> None:
    (first, judged), (second, _) = fitted(tmp_path / "first"), fitted(tmp_path / "second")

    contents, labels = texts(ITEMS)
    assert (first.judged_probabilities.argmax(1) == labels[judged]).mean() > 0.75
    assert first.weights == second.weights
    model = TunedModel.load(first.weights, backbone())
    assert np.isfinite(model.predict(contents[:8])).all()
