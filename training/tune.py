"""A search for a better recipe as a Ray Tune experiment: Optuna proposes, ASHA stops the hopeless.

Trials run side by side, each in one process on a share of a processor or GPU. They are judged by
the cross-fitted log loss: every row by the head that never saw it, and no audit item at all. Name
and storage of the experiment are those of the plan, so that a search that was cut off goes on: what
is finished stays, what was running goes on from its last checkpoint, and the time it may take is
counted from its first start. Ray Tune keeps its own state as pickles in the object store, which
nobody but the service writes to.

An experiment runs in an actor of its own, which outlives whoever asked for it: the runner of a job
that was killed finds it at work. That is also because what a trial reserves is set free when its
experiment's actor dies only if that actor is detached.
"""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.fs as pafs
import ray
import torch
from optuna.samplers import TPESampler
from ray import tune
from ray.exceptions import RayActorError, RayTaskError
from ray.tune import Checkpoint, CheckpointConfig, Result, RunConfig, Stopper, TuneConfig, Tuner
from ray.tune.error import TuneError
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from cluster.errors import TrainingFailed
from cluster.model_settings import LearningSettings
from cluster.settings import Settings
from cluster.stores.objects import open_objects
from training.group import Alone
from training.heed import HEED_EVERY_S, Heed, unheeded
from training.plan import TrainingPlan
from training.progress import Progress
from training.run_state import RunState
from training.search import (
    ACTOR_PREFIX,
    Choice,
    Domain,
    Point,
    SearchBudget,
    SearchResult,
    Space,
    Trial,
    changed,
    changes_at,
    point_of,
    result_of,
    space_of,
)
from training.snapshot import read_training
from training.step import train

LOG_LOSS, PERCENT = "log_loss", "percent"
STATE_FILE = "state.safetensors"

REDUCTION = 3
RUNGS = (11, 33, 100)
"""At which percents of a run a trial is judged; the best of `REDUCTION` so far goes on."""

_logger = logging.getLogger(__name__)


def search_on_ray(
    plan: TrainingPlan, settings: Settings, budget: SearchBudget, heed: Heed = unheeded
) -> SearchResult | None:
    """Search around a plan's recipe until the budget is spent, or go on with such a search.

    None where nothing may be searched, or no trial came to its end. Raises TrainingFailed where
    Ray Tune could not run it, and what `heed` raises; whatever is raised, the search has ended.
    """
    space = space_of(plan.recipe)
    if not space:
        return None
    actor: Any = ray.remote(Experiment)
    experiment = actor.options(
        name=f"{ACTOR_PREFIX}{plan.name}", lifetime="detached", get_if_exists=True, num_cpus=0
    ).remote()
    try:
        trials = _awaited(experiment.run.remote(plan, space, settings, budget), heed)
    except RayActorError:
        raise TrainingFailed(plan.name, "the search for its recipe was killed") from None
    except RayTaskError:
        _logger.exception("the search for a recipe of %s failed", plan.name)
        raise TrainingFailed(plan.name, "Ray Tune could not search for a recipe") from None
    finally:
        ray.kill(experiment)
    snapshot = plan.snapshot
    return result_of(plan.recipe, space, trials, snapshot.train.rows, snapshot.hash)


def _awaited(task: Any, heed: Heed) -> list[Trial]:
    while not ray.wait([task], timeout=HEED_EVERY_S)[0]:
        heed()
    trials: list[Trial] = ray.get(task)
    return trials


class Experiment:
    """A search in a process of its own."""

    def run(
        self, plan: TrainingPlan, space: Space, settings: Settings, budget: SearchBudget
    ) -> list[Trial]:
        """Run what is left of a search and return how its trials did."""
        return run_trials(plan, space, settings, budget)


def run_trials(
    plan: TrainingPlan, space: Space, settings: Settings, budget: SearchBudget
) -> list[Trial]:
    """Return how the trials of a search did, after running what is left of it."""
    filesystem, root = pafs.FileSystem.from_uri(settings.objects)
    folder = f"{root}/{plan.snapshot.folder}/searches"
    trainable = trainable_of(plan, space, settings)
    if Tuner.can_restore(f"{folder}/{plan.name}", filesystem):
        tuner = Tuner.restore(f"{folder}/{plan.name}", trainable, storage_filesystem=filesystem)
    else:
        tuner = Tuner(
            trainable,
            param_space=tune_space(space),
            tune_config=_tune_config(plan, space, budget),
            run_config=RunConfig(
                name=plan.name,
                storage_path=folder,
                storage_filesystem=filesystem,
                stop=_Deadline(time.time() + budget.seconds()),
                checkpoint_config=CheckpointConfig(num_to_keep=1),
                verbose=0,
            ),
        )
    return trials_of(tuner, plan.name)


def trials_of(tuner: Tuner, name: str) -> list[Trial]:
    """Run an experiment and return how its trials did; raises TrainingFailed, which names it."""
    try:
        results = tuner.fit()
    except TuneError:
        _logger.exception("the search for a recipe of %s failed", name)
        raise TrainingFailed(name, "Ray Tune could not search for a recipe") from None
    return [_trial(results[place]) for place in range(len(results))]


def trainable_of(plan: TrainingPlan, space: Space, settings: Settings) -> Any:
    """Return what Ray Tune runs for each trial, with what it takes."""
    learning = settings.learning
    run = _TrialRun(plan, space, settings.objects, max(1, int(learning.cpus_per_worker)))

    def trial(point: dict[str, Any]) -> None:
        run(point)

    return tune.with_resources(trial, _resources(learning))


def tune_space(space: Space) -> dict[str, Any]:
    """Return a space as Ray Tune draws from it."""
    return {path: _tune_domain(domain) for path, domain in space.items()}


class _Deadline(Stopper):
    """Ends a search at a moment, which stays the same when the search is taken up again."""

    def __init__(self, ends_at: float) -> None:
        self._ends_at = ends_at

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:  # noqa: ARG002
        return False

    def stop_all(self) -> bool:
        return time.time() >= self._ends_at


@dataclass(frozen=True, slots=True)
class _TrialRun:
    """What one trial does."""

    plan: TrainingPlan
    space: Space
    objects_uri: str
    threads: int

    def __call__(self, point: Point) -> None:
        """Train with the recipe at a point, and tell how it does wherever it is judged."""
        torch.set_num_threads(self.threads)
        objects, recipe = open_objects(self.objects_uri), self.plan.recipe
        teller = _Teller(_resumed(self.plan.name))
        fitted = train(
            changed(recipe, changes_at(recipe, self.space, point)),
            read_training(objects, self.plan.snapshot),
            self.plan.seed,
            Alone(_device()),
            run_name=self.plan.name,
            resume=teller.resume,
            on_progress=teller.note,
        )
        tune.report({LOG_LOSS: fitted.metrics["log_loss"], PERCENT: 100})


class _Teller:
    """Tells Ray Tune of a trial where it is judged, and saves it there."""

    def __init__(self, resume: RunState | None) -> None:
        self.resume = resume
        self._told = 0

    def note(self, progress: Progress) -> None:
        """Tell of an epoch that brings the trial to another rung; the end is told by itself."""
        percent = int(100 * progress.epochs / progress.epochs_planned)
        rung = sum(percent >= each for each in RUNGS)
        if rung <= self._told or progress.epochs == progress.epochs_planned:
            return
        self._told = rung
        told = {LOG_LOSS: progress.held_out_loss(), PERCENT: percent}
        with TemporaryDirectory() as folder:
            (Path(folder) / STATE_FILE).write_bytes(progress.state())
            tune.report(told, checkpoint=Checkpoint.from_directory(folder))


def _device() -> torch.device:
    """Return the GPU that Ray lets this trial see, if any."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _resumed(run_name: str) -> RunState | None:
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        return RunState.load((Path(folder) / STATE_FILE).read_bytes(), run_name)


def _resources(learning: LearningSettings) -> dict[str, float]:
    """Return what a trial takes: as much as a worker of a run."""
    resources = {"CPU": learning.cpus_per_worker}
    if learning.gpus_per_worker > 0:
        resources["GPU"] = learning.gpus_per_worker
    return resources


def _tune_config(plan: TrainingPlan, space: Space, budget: SearchBudget) -> TuneConfig:
    """Return the search itself; its first trial is the recipe it sets out from."""
    seed = plan.seed % 2**32
    sampler = TPESampler(seed=seed, n_startup_trials=max(2, budget.trials // 3), constant_liar=True)
    return TuneConfig(
        metric=LOG_LOSS,
        mode="min",
        num_samples=budget.trials,
        max_concurrent_trials=budget.trials_at_once,
        search_alg=OptunaSearch(
            points_to_evaluate=[dict(point_of(plan.recipe, space))], sampler=sampler
        ),
        scheduler=ASHAScheduler(
            time_attr=PERCENT,
            max_t=RUNGS[-1],
            grace_period=RUNGS[0],
            reduction_factor=REDUCTION,
        ),
        reuse_actors=True,
    )


def _tune_domain(domain: Domain) -> Any:
    if isinstance(domain, Choice):
        return tune.choice(list(range(len(domain.options))))
    return tune.loguniform(domain.low, domain.high)


def _trial(result: Result) -> Trial:
    """Return how a trial did; one that failed before it told anything has done nothing."""
    told = result.metrics or {}
    return Trial(
        point=result.config or {},
        log_loss=float(told.get(LOG_LOSS, math.nan)),
        done=float(told.get(PERCENT, 0)) / RUNGS[-1],
    )
