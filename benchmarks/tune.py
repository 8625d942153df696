"""`python -m benchmarks.tune`: a search for a recipe, what it finds and what it costs.

`--data` (or MUSTER_DATA) names a folder with `loop/cifar10n_10k`: images that a real crowd has
labelled three times over. A search (Optuna and ASHA on Ray Tune) sees the first `--rows` of them
and the crowd's answers. The recipe it finds and the default one are then trained on the same rows
with `--seeds` other seeds, and judged on `--test` later images by their true labels, which no trial
saw. The same points are run to their end as well, side by side as in the search, to tell what
stopping early spares and costs.
"""

import argparse
import os
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import ray
from ray.tune import RunConfig, TuneConfig, Tuner
from ray.tune.search import BasicVariantGenerator
from rich.console import Console

from benchmarks.figures import Figure, at_least, at_most, informing, present
from benchmarks.fitting.images import Images, read_images
from benchmarks.fitting.snapshots import store_snapshot
from cluster.model_settings import LearningSettings
from cluster.settings import Settings
from cluster.stores.objects import open_objects
from training.config import Recipe
from training.data import TrainingData
from training.plan import TrainingPlan
from training.recipes import image_small
from training.search import Point, Space, Trial, changed, result_of, space_of
from training.snapshot import read_training
from training.step import fit
from training.trainer import budget_of
from training.tune import run_trials, trainable_of, trials_of, tune_space


def exhaustive(
    plan: TrainingPlan, space: Space, settings: Settings, points: list[Point]
) -> list[Trial]:
    """Run trials at given points, all of them to their end."""
    drawn = [dict(point) for point in points]
    tuner = Tuner(
        trainable_of(plan, space, settings),
        param_space=tune_space(space),
        tune_config=TuneConfig(
            num_samples=len(drawn),
            search_alg=BasicVariantGenerator(
                points_to_evaluate=drawn,
                max_concurrent=settings.learning.search_trials_at_once,
            ),
            reuse_actors=True,
        ),
        run_config=RunConfig(
            name="exhaustive", storage_path=str(settings.data_dir / "exhaustive"), verbose=0
        ),
    )
    return trials_of(tuner, "exhaustive")


def judged(recipe: Recipe, data: TrainingData, test: Images, seeds: int) -> tuple[float, float]:
    """Return mean accuracy and log loss (nats) of a recipe on true labels, over some seeds."""
    right, losses = [], []
    for seed in range(seeds):
        said = fit(recipe, data, 100 + seed).predict(test.pixels)
        right.append(float((said.argmax(1) == test.truth).mean()))
        chance = said[np.arange(len(test)), test.truth]
        losses.append(float(-np.log(np.maximum(chance, 1e-7)).mean()))
    return fmean(right), fmean(losses)


def measure(
    images: Images, train_rows: int, settings: Settings, seeds: int, console: Console
) -> list[Figure]:
    """Return all figures."""
    recipe, objects = image_small(), open_objects(settings.objects)
    snapshot = store_snapshot(objects, images.rows(0, train_rows), recipe.folds)
    plan, space = TrainingPlan(snapshot=snapshot, recipe=recipe, seed=1), space_of(recipe)
    started_at = perf_counter()
    trials = run_trials(plan, space, settings, budget_of(settings.learning))
    searched_s = perf_counter() - started_at
    found = result_of(recipe, space, trials, snapshot.train.rows, snapshot.hash)
    if found is None:
        raise SystemExit("no trial came to its end")
    console.print(f"{found.finished} of {found.trials} to the end in {searched_s:.0f} s: {found}")
    started_at = perf_counter()
    full = exhaustive(plan, space, settings, [trial.point for trial in trials])
    full_s = perf_counter() - started_at
    best = min(trial.log_loss for trial in full)
    console.print(f"all to the end in {full_s:.0f} s: {best:.4f}")
    data, test = read_training(objects, snapshot), images.rows(train_rows, len(images))
    tuned = judged(changed(recipe, found.changes), data, test, seeds)
    default = judged(recipe, data, test, seeds)
    return [
        informing("trials", found.trials, "trials"),
        informing("default recipe: accuracy", default[0], "share"),
        informing("best recipe: accuracy", tuned[0], "share"),
        at_least("lead of the best recipe in accuracy", tuned[0] - default[0], "share", 0.001),
        informing("default recipe: log loss", default[1], "nats"),
        informing("best recipe: log loss", tuned[1], "nats"),
        informing("search with early stopping", searched_s, "s"),
        informing("all trials to their end", full_s, "s"),
        at_most("time of the search by all trials", searched_s / full_s, "x", 0.4),
        informing("cross-fitted log loss found above the best", found.log_loss - best, "nats"),
    ]


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=os.environ.get("MUSTER_DATA"))
    parser.add_argument("--rows", type=int, default=1_200)
    parser.add_argument("--test", type=int, default=2_000)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=2)
    asked, console = parser.parse_args(), Console(width=160)
    if asked.data is None:
        parser.error("name a folder of recorded sets by --data or MUSTER_DATA")
    images = read_images(Path(asked.data), asked.rows + asked.test)
    learning = LearningSettings(
        search=True,
        search_trials=asked.trials,
        search_trials_at_once=2,
        search_time_s=86_400.0,
        cpus_per_worker=1.0,
    )
    # Ray would make its workers nicer than any other process of the machine.
    os.environ.update(RAY_AUTH_MODE="disabled", OMP_NUM_THREADS="1", RAY_worker_niceness="0")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    with TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), learning=learning)
        found = measure(images, asked.rows, settings, asked.seeds, console)
    ray.shutdown()
    present("tune", found, console)


if __name__ == "__main__":
    main()
