"""A training run for tests, and a driver of it: `python -m tests.ray.training_driver ADDRESS DIR`.

A run's own words are its TensorBoard files, to which every process that works on it adds one.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from benchmarks.fitting.boards import Scalar, scalars
from cluster.model_settings import LearningSettings
from cluster.settings import Settings
from cluster.stores.objects import open_objects
from tests.unit.training.worlds import World
from training.building import build_snapshot
from training.config import ResNetHead
from training.plan import TrainingPlan
from training.recipes import image_small
from training.trainer import RayTrainer

EPOCHS, SAVED_EVERY = 40, 4


def settings_in(folder: Path, **changes: Any) -> Settings:
    """Return settings for two workers that take a processor each."""
    learning = LearningSettings(**{"workers": 2, "cpus_per_worker": 1.0, **changes})
    return Settings(data_dir=folder, learning=learning)


def image_plan(settings: Settings, *, saved_every: int = SAVED_EVERY) -> TrainingPlan:
    """Return a run over 96 small images, the same for the same folder; its end is no save."""
    world = World.of_images(96, open_objects(settings.objects))
    head = ResNetHead(
        widths=(8, 16), epochs=EPOCHS, steps_min=1, checkpoints=EPOCHS // saved_every - 1
    )
    return TrainingPlan(
        snapshot=build_snapshot(world.stores, world.job, 1),
        recipe=replace(image_small(), head=head, rows_per_worker_min=1),
        seed=1,
    )


def epochs_told(settings: Settings, plan: TrainingPlan) -> list[Scalar]:
    """Return the loss after each epoch that a run told of, in the order in which it did."""
    return _scalars(settings, plan, "loss")


def workers_told(settings: Settings, plan: TrainingPlan) -> list[int]:
    """Return how many workers a run had at each of these epochs."""
    return [int(each.value) for each in _scalars(settings, plan, "workers")]


def _scalars(settings: Settings, plan: TrainingPlan, tag: str) -> list[Scalar]:
    folder = settings.data_dir / "objects" / plan.snapshot.folder / "tensorboard" / plan.name
    files = sorted(folder.iterdir())
    return [each for file in files for each in scalars(file.read_bytes()) if each.tag == tag]


def processes(title: str) -> list[int]:
    """Return the processes with this in their title whose parent is a child of this one."""
    tree: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            tree[int(folder.name)] = (parent, (folder / "cmdline").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    mine = os.getpid()
    return sorted(
        pid
        for pid, (parent, said) in tree.items()
        if title in said and tree.get(parent, (0, ""))[0] == mine
    )


def main() -> None:
    """Train on a cluster and store the weights in the folder."""
    address, folder = sys.argv[1], Path(sys.argv[2])
    settings = settings_in(folder)
    ray.init(address, log_to_driver=False)
    trained = RayTrainer(settings).fit(image_plan(settings))
    (folder / "weights").write_bytes(trained.weights)


if __name__ == "__main__":
    main()
