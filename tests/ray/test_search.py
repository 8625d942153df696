"""A search for a recipe on a real Ray: what it finds, what it may cost, and a kill."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._common.test_utils import wait_for_condition
from ray.exceptions import RayActorError
from ray.util import list_named_actors

from cluster import paths
from cluster.domain.ids import JobId, ModelName
from cluster.errors import JobCancelled
from cluster.model_settings import LearningSettings
from cluster.settings import Settings
from cluster.stores.objects import open_objects
from tests.ray.training_driver import processes
from tests.unit.training.worlds import World
from training.building import build_snapshot
from training.config import ResNetHead
from training.plan import TrainingPlan
from training.recipes import image_small
from training.search import ACTOR_PREFIX, SearchResult
from training.trainer import RayTuner, end_searches

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

LINE = ModelName("acme/images-1")
TRIALS = 4


@ray.remote(num_cpus=0)
class Runner:
    """A job's runner: an actor that searches on one of its threads."""

    def tuned(self, settings: Settings, plan: TrainingPlan) -> TrainingPlan:
        return RayTuner(settings, open_objects(settings.objects)).tuned(LINE, plan)

    def pid(self) -> int:
        return os.getpid()


def runner() -> Any:
    actor: Any = Runner
    return actor.options(max_concurrency=2).remote()


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_MODE", "disabled")
        environment.setenv("TUNE_GLOBAL_CHECKPOINT_S", "0.5")
        environment.setenv("RAY_worker_niceness", "0")
        ray.init("local", include_dashboard=False, num_cpus=1, log_to_driver=False)
    yield
    ray.shutdown()


def settings_in(folder: Path, **changes: Any) -> Settings:
    learning = LearningSettings(search=True, search_trials=TRIALS, cpus_per_worker=0.5, **changes)
    return Settings(data_dir=folder, learning=learning)


def slow_plan(settings: Settings) -> TrainingPlan:
    """Return a run over 64 small images that learns next to nothing in the steps it is given."""
    world = World.of_images(64, open_objects(settings.objects))
    head = ResNetHead(widths=(4, 8), epochs=9, steps_min=1, learning_rate=1e-4)
    return TrainingPlan(
        snapshot=build_snapshot(world.stores, world.job, 1),
        recipe=replace(image_small(), head=head),
        seed=3,
    )


def stored(settings: Settings, plan: TrainingPlan) -> SearchResult:
    path = paths.recipe(LINE, plan.recipe.name)
    return SearchResult.of_json(open_objects(settings.objects).read(path))


def finished_trials(settings: Settings, plan: TrainingPlan) -> dict[str, str]:
    """Return all that those trials told which have come to their end, by their name."""
    told = {found.parent.name: found.read_text() for found in _results(settings, plan)}
    return {name: said for name, said in told.items() if '"percent": 100' in said}


def trials_begun(settings: Settings, plan: TrainingPlan) -> set[str]:
    """Return the trials that told anything."""
    return {found.parent.name for found in _results(settings, plan)}


def _results(settings: Settings, plan: TrainingPlan) -> Iterator[Path]:
    folder = settings.data_dir / "objects" / plan.snapshot.folder / "searches" / plan.name
    return folder.glob("*/result.json")


def test_a_search_finds_a_recipe_that_every_later_round_uses(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    plan = slow_plan(settings)
    # When a line's first round looks for a recipe
    tuned: TrainingPlan = ray.get(runner().tuned.remote(settings, plan))
    # Then it was the best of those that came to their end, and the recipe itself was tried
    found = stored(settings, plan)
    assert (found.trials, found.base) == (TRIALS, plan.recipe.name)
    assert 1 <= found.finished <= TRIALS
    assert tuned.recipe == found.recipe(plan.recipe)
    assert tuned.recipe.folds == plan.recipe.folds
    # And the next round does not search again
    assert RayTuner(settings, open_objects(settings.objects)).tuned(LINE, plan) == tuned
    # And where searching is off, recipes stay as they are
    off = Settings(data_dir=tmp_path)
    assert RayTuner(off, open_objects(off.objects)).tuned(LINE, plan) == plan


def test_a_search_that_is_killed_goes_on_in_the_next_round_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path)
    plan, first = slow_plan(settings), runner()
    running = first.tuned.remote(settings, plan)
    wait_for_condition(lambda: bool(finished_trials(settings, plan)), timeout=300)
    # When the process of the search is killed, and all its trials with it
    before = finished_trials(settings, plan)
    (experiment,) = processes("ray::Experiment")
    os.kill(experiment, signal.SIGKILL)
    # Then the round goes on with the recipe there was
    assert ray.get(running) == plan
    # And the next one ends the search
    ray.get(runner().tuned.remote(settings, plan))
    after = finished_trials(settings, plan)
    assert stored(settings, plan).trials == TRIALS
    assert {name: after[name] for name in before} == before


def test_a_search_whose_runner_is_killed_is_found_at_work(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    plan, first = slow_plan(settings), runner()
    running = first.tuned.remote(settings, plan)
    wait_for_condition(lambda: bool(trials_begun(settings, plan)), timeout=300)

    os.kill(ray.get(first.pid.remote()), signal.SIGKILL)
    with pytest.raises(RayActorError):
        ray.get(running)
    begun = trials_begun(settings, plan)
    ray.get(runner().tuned.remote(settings, plan))

    assert stored(settings, plan).trials == TRIALS
    assert begun <= trials_begun(settings, plan)


def test_a_search_that_nobody_wants_any_more_ends_and_so_does_one_that_was_left_behind(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path)
    plan = slow_plan(settings)

    def searches() -> list[str]:
        return [name for name in list_named_actors() if name.startswith(ACTOR_PREFIX)]

    def cancel() -> None:
        if trials_begun(settings, plan):
            raise JobCancelled(plan.snapshot.job_id)

    # When its job is cancelled while trials run
    with pytest.raises(JobCancelled):
        RayTuner(settings, open_objects(settings.objects)).tuned(LINE, plan, heed=cancel)
    # Then it ends with them
    wait_for_condition(lambda: not searches() and not processes("ray::ImplicitFunc"), timeout=60)
    # When the runner of another is killed, and the job is then cancelled
    left = runner()
    left.tuned.remote(settings, plan)
    wait_for_condition(lambda: bool(searches()), timeout=300)
    os.kill(ray.get(left.pid.remote()), signal.SIGKILL)
    end_searches(JobId("another"))
    assert searches()
    end_searches(plan.snapshot.job_id)
    # Then nothing is left of it
    wait_for_condition(lambda: not searches(), timeout=60)


def test_a_search_without_money_leaves_the_recipe_as_it_is(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, search_spend=0.0, search_trial_hour_price=1.0)
    plan = slow_plan(settings)

    assert ray.get(runner().tuned.remote(settings, plan)) == plan
