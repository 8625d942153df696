"""`python -m benchmarks.train`: a recipe on Ray Train beside a plain PyTorch loop.

Both train the same small residual networks (`image_small`: three folds, batches of 32) on the same
images with one torch thread a worker, and are timed from the end of their first epoch to the end of
their last; start-up is told apart. On Ray Train that time holds all the recipe does beside its
steps: checkpoints to the object store, metrics, the look-out for nodes that are taken away. Sides
take turns, `--rounds` times; the figures are of the medians. `--data` (or MUSTER_DATA) names a
folder with `loop/cifar10n_10k`; without it images are drawn.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import ray
from rich.console import Console

from benchmarks.figures import Figure, at_least, informing, present
from benchmarks.fitting import bare
from benchmarks.fitting.boards import scalars
from benchmarks.fitting.images import Images, draw_images, read_images
from benchmarks.fitting.snapshots import store_snapshot
from cluster.model_settings import LearningSettings
from cluster.settings import Settings
from cluster.stores.objects import open_objects
from training.config import Recipe, ResNetHead
from training.plan import TrainingPlan
from training.recipes import image_small
from training.snapshot import read_training
from training.trainer import RayTrainer


def recipe_of(epochs: int) -> tuple[Recipe, ResNetHead]:
    """Return the recipe that is measured, with so many epochs, and its head."""
    recipe = image_small()
    if not isinstance(recipe.head, ResNetHead):
        raise TypeError("image_small is a resnet")
    head = replace(recipe.head, epochs=epochs, steps_min=1)
    return replace(recipe, head=head, rows_per_worker_min=1), head


def bare_rate(plan: TrainingPlan, head: ResNetHead, settings: Settings, folder: Path) -> float:
    """Return samples a second of the plain loop, in a process of its own."""
    data = read_training(open_objects(settings.objects), plan.snapshot)
    told = {
        "folds": plan.recipe.folds,
        "epochs": head.epochs,
        "batch_rows": head.batch_rows,
        "learning_rate": head.learning_rate,
        "weight_decay": head.weight_decay,
        "shift_pixels": head.shift_pixels,
    }
    order = folder / "order.npz"
    np.savez(
        order,
        pixels=data.features,
        targets=data.targets,
        folds=data.folds,
        widths=np.array(head.widths),
        names=np.array(list(told)),
        values=np.array(list(told.values()), np.float64),
    )
    command = (sys.executable, "-m", bare.__name__, str(order))
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def ray_rate(plan: TrainingPlan, settings: Settings) -> tuple[float, float]:
    """Return samples a second of a run on Ray Train, and the seconds around its epochs."""
    started_at = perf_counter()
    RayTrainer(settings).fit(plan)
    took_s = perf_counter() - started_at
    folder = f"{plan.snapshot.folder}/tensorboard/{plan.name}"
    objects = open_objects(settings.objects)
    (board,) = objects.list(folder)
    ends = [each.at for each in scalars(objects.read(board)) if each.tag == "loss"]
    rows = plan.snapshot.train.rows * (len(ends) - 1)
    return rows / (ends[-1] - ends[0]), took_s - (ends[-1] - ends[0])


def measure(images: Images, epochs: int, rounds: int, console: Console) -> list[Figure]:
    """Return the figures of the plain loop and of one and two workers, in turns."""
    recipe, head = recipe_of(epochs)
    plain, one, two, around = [], [], [], []
    for number in range(rounds):
        with TemporaryDirectory() as folder:
            settings = {workers: _settings(Path(folder), workers) for workers in (1, 2)}
            snapshot = store_snapshot(open_objects(settings[1].objects), images, recipe.folds)
            # Runs of one snapshot, recipe and seed would be one run.
            plans = {
                workers: TrainingPlan(snapshot=snapshot, recipe=recipe, seed=workers)
                for workers in (1, 2)
            }
            plain.append(bare_rate(plans[1], head, settings[1], Path(folder)))
            rate, rest_s = ray_rate(plans[1], settings[1])
            one.append(rate)
            around.append(rest_s)
            two.append(ray_rate(plans[2], settings[2])[0])
        console.print(
            f"round {number + 1}: plain {plain[-1]:,.0f}, Ray Train {one[-1]:,.0f}, "
            f"two workers {two[-1]:,.0f} samples/s"
        )
    return [
        informing("plain PyTorch loop", median(plain), "samples/s"),
        informing("Ray Train, 1 worker", median(one), "samples/s"),
        at_least("Ray Train by the plain loop", median(one) / median(plain), "x", 0.95),
        informing("Ray Train, 2 workers", median(two), "samples/s"),
        informing("scaling from 1 to 2 workers", median(two) / median(one), "x"),
        informing("start and end of a run on Ray Train", median(around), "s"),
    ]


def _settings(folder: Path, workers: int) -> Settings:
    learning = LearningSettings(workers=workers, cpus_per_worker=1.0)
    return Settings(data_dir=folder, learning=learning)


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=os.environ.get("MUSTER_DATA"))
    parser.add_argument("--rows", type=int, default=4_096)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    asked, console = parser.parse_args(), Console(width=160)
    images = read_images(Path(asked.data), asked.rows) if asked.data else draw_images(asked.rows, 0)
    console.print(f"{len(images):,} {images.origin} images, {asked.epochs} epochs")
    # Ray would make its workers nicer than any other process of the machine.
    os.environ.update(RAY_AUTH_MODE="disabled", OMP_NUM_THREADS="1", RAY_worker_niceness="0")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    found = measure(images, asked.epochs, asked.rounds, console)
    ray.shutdown()
    present("train", found, console)


if __name__ == "__main__":
    main()
