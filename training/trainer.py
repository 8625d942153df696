"""The trainer and the tuner of a deployment: Ray Train and Ray Tune behind plain calls.

The runner of a job lives without them and without torch, seconds to import, until it learns.
"""

import logging
import re
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial

import ray
from ray.util import list_named_actors

from cluster import paths
from cluster.domain.ids import JobId, ModelName
from cluster.errors import ObjectMissing, TrainingFailed
from cluster.model_settings import LearningSettings
from cluster.ports import ObjectStore
from cluster.settings import Settings
from training.heed import Heed, awaited, begun, unheeded
from training.plan import TrainedModel, TrainingPlan
from training.search import ACTOR_PREFIX, UNLIMITED, Allowance, SearchBudget, SearchResult

_logger = logging.getLogger(__name__)


class RayTrainer:
    """A `Trainer` on Ray Train; a plan that was cut off goes on from its last checkpoint.

    A run belongs to the process that began it: what is not wanted any more ends with that.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._run: Future[TrainedModel] | None = None

    @property
    def is_at_work(self) -> bool:
        """Whether a run goes on that nobody waits for."""
        return self._run is not None and not self._run.done()

    def fit(self, plan: TrainingPlan, heed: Heed = unheeded) -> TrainedModel:
        """Run a plan to its end on the cluster this process has joined.

        Raises TrainingFailed. Where `heed` raises, the run goes on until this process ends.
        """
        from training.job import run_on_ray  # noqa: PLC0415

        self._run = begun(partial(run_on_ray, plan, self._settings))
        return awaited(self._run, heed)


class RayTuner:
    """A `Tuner` on Ray Tune: it searches once for a model line, and again when that has grown.

    What it finds is stored beside the line, and used by every later round of the line.
    """

    def __init__(self, settings: Settings, objects: ObjectStore) -> None:
        self._settings, self._objects = settings, objects

    def tuned(
        self,
        line: ModelName,
        plan: TrainingPlan,
        allowance: Allowance = UNLIMITED,
        heed: Heed = unheeded,
    ) -> TrainingPlan:
        """Return the plan with the best recipe known of; searches first where that is due.

        Where `heed` raises, the search ends; the same round goes on with it.
        """
        if not self._settings.learning.search:
            return plan
        path = paths.recipe(line, plan.recipe.name)
        found = _stored(self._objects, path)
        if found is None or not found.covers(plan.snapshot.train.rows):
            found = self._search(plan, allowance, heed) or found
            if found is not None:
                self._objects.write(path, found.to_json())
        return replace(plan, recipe=(found and found.recipe(plan.recipe)) or plan.recipe)

    def _search(self, plan: TrainingPlan, allowance: Allowance, heed: Heed) -> SearchResult | None:
        learning = self._settings.learning
        budget = budget_of(learning).within(allowance, learning.search_job_share)
        if budget.seconds() <= 0.0:
            return None
        from training.tune import search_on_ray  # noqa: PLC0415

        try:
            return search_on_ray(plan, self._settings, budget, heed)
        except TrainingFailed as error:
            _logger.warning("%s; the recipe stays", error)
            return None


def end_searches(job_id: JobId) -> None:
    """End whatever searches for a recipe of a job: it may have outlived who waited for it.

    What was found is stored, and a round that is run again goes on from there.
    """
    named = re.compile(rf"{ACTOR_PREFIX}{re.escape(job_id)}-\d{{6}}-.*")
    for name in filter(named.fullmatch, list_named_actors()):
        with suppress(ValueError):  # it has ended meanwhile
            ray.kill(ray.get_actor(name))


def budget_of(learning: LearningSettings) -> SearchBudget:
    """Return what the settings let a search cost."""
    return SearchBudget(
        trials=learning.search_trials,
        trials_at_once=learning.search_trials_at_once,
        time_s=learning.search_time_s,
        spend=learning.search_spend,
        trial_hour_price=learning.search_trial_hour_price,
    )


def _stored(objects: ObjectStore, path: str) -> SearchResult | None:
    """Return what an earlier search found; None where there was none, or it cannot be read."""
    try:
        return SearchResult.of_json(objects.read(path))
    except (ObjectMissing, ValueError, KeyError, TypeError):
        return None
