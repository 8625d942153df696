"""The trainer and the tuner of a deployment: Ray Train and Ray Tune behind plain calls.

The runner of a job lives without them and without torch, seconds to import, until it learns.
"""

import logging
from dataclasses import replace

from cluster import paths
from cluster.domain.ids import ModelName
from cluster.errors import ObjectMissing, TrainingFailed
from cluster.model_settings import LearningSettings
from cluster.ports import ObjectStore
from cluster.settings import Settings
from training.plan import TrainedModel, TrainingPlan
from training.search import SearchBudget, SearchResult

_logger = logging.getLogger(__name__)


class RayTrainer:
    """A `Trainer` on Ray Train; a plan that was cut off goes on from its last checkpoint."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def fit(self, plan: TrainingPlan) -> TrainedModel:
        """Run a plan to its end on the cluster this process has joined; raises TrainingFailed."""
        from training.job import run_on_ray  # noqa: PLC0415

        return run_on_ray(plan, self._settings)


class RayTuner:
    """A `Tuner` on Ray Tune: it searches once for a model line, and again when that has grown.

    What it finds is stored beside the line, and used by every later round of the line.
    """

    def __init__(self, settings: Settings, objects: ObjectStore) -> None:
        self._settings, self._objects = settings, objects

    def tuned(self, line: ModelName, plan: TrainingPlan) -> TrainingPlan:
        """Return the plan with the best recipe known of; searches first where that is due."""
        if not self._settings.learning.search:
            return plan
        path = paths.recipe(line, plan.recipe.name)
        found = _stored(self._objects, path)
        if found is None or not found.covers(plan.snapshot.train.rows):
            found = self._search(plan) or found
            if found is not None:
                self._objects.write(path, found.to_json())
        return replace(plan, recipe=(found and found.recipe(plan.recipe)) or plan.recipe)

    def _search(self, plan: TrainingPlan) -> SearchResult | None:
        from training.tune import search_on_ray  # noqa: PLC0415

        try:
            return search_on_ray(plan, self._settings, budget_of(self._settings.learning))
        except TrainingFailed as error:
            _logger.warning("%s; the recipe stays", error)
            return None


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
