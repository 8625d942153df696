"""The learning stage: what it registers, when it promotes, and that it can always run again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.jobs import JobEvent, JobState
from cluster.domain.lines import Stage, Traffic
from cluster.domain.models import ZERO_SHOT, Lineage, ModelSpec
from cluster.errors import ModelUnusable, TrainingFailed
from cluster.model_settings import RolloutSettings
from cluster.replica_errors import ReplicaLost
from tests.model_lines import WHY, go_live
from tests.unit.training.worlds import JOB, LINE, StepClock, World
from training.heed import Heed, unheeded
from training.lines import admit
from training.local import LocalTrainer
from training.model import CrossFitted
from training.plan import TrainedModel, Trainer, TrainingPlan
from training.recipes import text_head
from training.registry import register
from training.stage import LearnStage


class Recording:
    """A `Trainer` that remembers its plans and changes what comes out."""

    def __init__(
        self, inner: Trainer, change: Callable[[TrainedModel], TrainedModel] = lambda same: same
    ) -> None:
        self.plans: list[TrainingPlan] = []
        self._inner, self._change = inner, change

    def fit(self, plan: TrainingPlan, heed: Heed = unheeded) -> TrainedModel:
        self.plans.append(plan)
        return self._change(self._inner.fit(plan, heed))


class Failing:
    """A `Trainer` whose runs end in an error."""

    def fit(self, plan: TrainingPlan, heed: Heed = unheeded) -> TrainedModel:  # noqa: ARG002
        raise TrainingFailed(plan.name, "its loss is not finite")


def stage(world: World, trainer: Trainer | None = None) -> LearnStage:
    trained_by = trainer or LocalTrainer(world.stores.objects)
    return LearnStage(world.stores, trained_by, "0.1.0", RolloutSettings(), warm=_nowhere)


def _nowhere(_: ModelSpec) -> None:
    """Load a version on no replica."""


def events(world: World) -> tuple[JobEvent, ...]:
    return world.stores.events.read(JOB, 0, 100)


def live(world: World) -> int:
    return world.stores.models.live(LINE).spec.version


def worse(trained: TrainedModel) -> TrainedModel:
    rng = np.random.default_rng(0)
    return replace(trained, judged_probabilities=rng.permutation(trained.judged_probabilities))


def test_a_better_model_is_promoted_and_the_job_is_prelabelled_again() -> None:
    world = World.after_round()

    state = stage(world).run(world.desk())

    assert (state, live(world)) == (JobState.PRELABELLING, 1)
    (event,) = events(world)
    assert event.kind == "learn.done"
    assert "version 1 learnt from 300 items: promoted" in event.message
    assert event.figures["candidate_score"] > event.figures["incumbent_score"] + 0.3
    assert event.figures["p_value"] < 0.001
    figures = {"round": 1, "train_items": 300, "judged_items": 400, "promoted": 1, "version": 1}
    assert figures.items() <= event.figures.items()
    assert event.figures["seconds"] > 0
    assert world.stores.jobs.load(JOB).progress.training_s == event.figures["seconds"]


def test_where_the_line_is_asked_online_a_better_model_serves_its_own_job_first() -> None:
    world = World.after_round()
    asked = Traffic(name=LINE, version=ZERO_SHOT, stage=Stage.LIVE, items=3, last_at=990.0)
    world.stores.traffic.add([asked])

    state = stage(world).run(world.desk())

    standing = world.stores.lines.standing(LINE)
    assert (state, standing.live, standing.candidate) == (JobState.PRELABELLING, ZERO_SHOT, 1)
    assert standing.p_value is not None
    (event,) = events(world)
    assert event.message.endswith("it answers online requests beside the live version first")
    assert {"promoted": 0, "on_trial": 1}.items() <= event.figures.items()


def test_a_version_no_replica_can_load_is_never_put_on_trial() -> None:
    world = World.after_round()

    def refuse(spec: ModelSpec) -> None:
        raise ModelUnusable(f"{spec.name} version {spec.version}", "its encoder is not there")

    trainer = LocalTrainer(world.stores.objects)
    state = LearnStage(world.stores, trainer, "0.1.0", RolloutSettings(), refuse).run(world.desk())

    assert (state, live(world)) == (JobState.ASKING, ZERO_SHOT)
    assert [event.kind for event in events(world)] == ["learn.failed"]


@pytest.mark.parametrize(("losses", "version"), [(2, 1), (3, ZERO_SHOT)])
def test_a_version_that_takes_replicas_with_it_again_and_again_is_not_admitted(
    losses: int, version: int
) -> None:
    world, loads = World.after_round(), list[int]()

    def crash(spec: ModelSpec) -> None:
        loads.append(spec.version)
        if len(loads) <= losses:
            raise ReplicaLost("loading")

    trainer = LocalTrainer(world.stores.objects)
    LearnStage(world.stores, trainer, "0.1.0", RolloutSettings(), crash).run(world.desk())

    assert (live(world), len(loads)) == (version, 3)
    (event,) = events(world)
    assert event.message.endswith("replicas are lost over it" if losses == 3 else "promoted")


def test_the_registered_model_is_the_one_that_was_judged() -> None:
    world = World.after_round()

    stage(world).run(world.desk())

    record = world.stores.models.live(LINE)
    assert record.spec.weights_path is not None
    model = CrossFitted.load(world.stores.objects.read(record.spec.weights_path))
    folds = np.zeros(400, np.int64)
    right = model.predict(world.points.features, folds).argmax(1) == world.points.labels
    assert right.mean() > 0.9
    assert model.shape.folds == text_head().folds


def test_a_version_says_where_it_came_from() -> None:
    world = World.after_round()
    trainer = Recording(LocalTrainer(world.stores.objects))

    stage(world, trainer).run(world.desk())

    record = world.stores.models.live(LINE)
    (plan,) = trainer.plans
    assert record.lineage == Lineage(
        job_id=JOB,
        round=1,
        parent=ZERO_SHOT,
        recipe="text_head",
        snapshot_path=paths.snapshot(JOB, 1),
        snapshot_hash=plan.snapshot.hash,
        code_version="0.1.0",
        seed=world.job.spec.seed,
    )
    assert record.metrics["train_items"] == 300
    assert 0 < record.metrics["log_loss"] < 1
    assert record.spec.weights_path is not None
    card = json.loads(
        world.stores.objects.read(record.spec.weights_path.replace("safetensors", "json"))
    )
    assert card["lineage"]["snapshot_hash"] == plan.snapshot.hash


def test_a_worse_model_is_kept_but_not_promoted() -> None:
    world = World.after_round()
    better = np.asarray(world.points.targets(0.0))
    world.store_predictions(better)

    state = stage(world, Recording(LocalTrainer(world.stores.objects), worse)).run(world.desk())

    assert (state, live(world)) == (JobState.ASKING, ZERO_SHOT)
    assert [record.spec.version for record in world.stores.models.versions(LINE)] == [0, 1]
    (event,) = events(world)
    assert "not promoted, not better beyond noise" in event.message
    assert event.figures["promoted"] == 0


@pytest.mark.parametrize("stop_after", ["snapshot", "training", "registering", "promoting"])
def test_a_second_run_ends_with_the_same_version(stop_after: str) -> None:
    world = World.after_round()
    once = World.after_round()
    stage(once).run(once.desk())
    interrupted(world, stop_after)

    state = stage(world).run(world.desk())

    assert (state, live(world)) == (JobState.PRELABELLING, 1)
    records = world.stores.models.versions(LINE)
    assert [record.spec for record in records] == [
        record.spec for record in once.stores.models.versions(LINE)
    ]


def test_a_round_run_again_with_another_recipe_admits_the_model_that_it_judged() -> None:
    # Given a round that was cut off after its model was registered
    world = World.after_round()
    interrupted(world, "registering")
    # When it is run again and another model comes of it
    trainer = Recording(
        LocalTrainer(world.stores.objects),
        lambda trained: replace(trained, weights=other_model(trained.weights)),
    )
    stage(world, trainer).run(world.desk())
    # Then that one is a version of its own, and the one that answers
    versions = {each.spec.version: each.spec for each in world.stores.models.versions(LINE)}
    judged = other_model(LocalTrainer(world.stores.objects).fit(trainer.plans[0]).weights)
    assert (set(versions), live(world)) == ({0, 1, 2}, 2)
    assert versions[2].weights_path is not None
    assert world.stores.objects.read(versions[2].weights_path) == judged


def interrupted(world: World, stop_after: str) -> None:
    """Run the stage as far as a step, as if its process had died there."""

    class Died(BaseException):
        pass

    class Dying:
        def __init__(self, inner: object, method: str, *, after: bool) -> None:
            self._inner, self._method, self._after = inner, method, after

        def __getattr__(self, name: str) -> object:
            found = getattr(self._inner, name)
            return self._die if name == self._method else found

        def _die(self, *arguments: object, **named: object) -> None:
            if self._after:
                getattr(self._inner, self._method)(*arguments, **named)
            raise Died

    stores, trainer = world.stores, LocalTrainer(world.stores.objects)
    models: Mapping[str, tuple[str, bool]] = {
        "training": ("add", False),
        "registering": ("add", True),
    }
    if stop_after in models:
        method, after = models[stop_after]
        stores = replace(stores, models=Dying(stores.models, method, after=after))  # type: ignore[arg-type]
    elif stop_after == "promoting":
        stores = replace(stores, lines=Dying(stores.lines, "take", after=True))  # type: ignore[arg-type]
    else:
        trainer = Dying(trainer, "fit", after=False)  # type: ignore[assignment]
    with pytest.raises(Died):
        LearnStage(stores, trainer, "0.1.0", RolloutSettings(), _nowhere).run(world.desk())


def test_a_later_round_makes_a_later_version() -> None:
    world = World.after_round()
    stage(world).run(world.desk())
    world.store_predictions(np.full((400, 3), 1 / 3, np.float32), version=1)
    world.next_round()

    stage(world).run(world.desk())

    records = world.stores.models.versions(LINE)
    assert [record.spec.version for record in records] == [0, 1, 2]
    assert records[2].lineage is not None
    assert (records[2].lineage.round, records[2].lineage.parent) == (2, 1)
    assert live(world) == 2


@pytest.mark.parametrize("trainer", [Failing(), None])
def test_a_failed_training_leaves_the_live_model_and_the_job_goes_on(
    trainer: Trainer | None,
) -> None:
    world = World.after_round()
    if trainer is None:
        world.stores.objects.delete(paths.consensus(JOB, 1))

    state = stage(world, trainer).run(world.desk())

    assert (state, live(world)) == (JobState.ASKING, ZERO_SHOT)
    (event,) = events(world)
    assert event.kind == "learn.failed"
    assert event.message.startswith("the live model stays: training run job-1-000001")


def test_weights_that_are_no_model_are_never_registered() -> None:
    world = World.after_round()
    pickled = Recording(
        LocalTrainer(world.stores.objects), lambda trained: replace(trained, weights=b"\x80\x04.")
    )

    state = stage(world, pickled).run(world.desk())

    assert (state, live(world)) == (JobState.ASKING, ZERO_SHOT)
    assert [event.kind for event in events(world)] == ["learn.failed"]
    assert len(world.stores.models.versions(LINE)) == 1


def test_a_comparison_with_a_model_that_is_no_longer_live_promotes_nothing() -> None:
    """Another job of the line promotes meanwhile: this job takes that model, not its own."""
    world = World.after_round()
    other = replace(world.stores.models.live(LINE).spec, version=5, weights_path="x")
    record = replace(world.stores.models.live(LINE), spec=other)

    def promoted_elsewhere(trained: TrainedModel) -> TrainedModel:
        world.stores.models.add(record)
        go_live(world.stores.lines, LINE, 5)
        return trained

    trainer = Recording(LocalTrainer(world.stores.objects), promoted_elsewhere)
    state = stage(world, trainer).run(world.desk())

    assert (state, live(world)) == (JobState.PRELABELLING, 5)
    assert [each.spec.version for each in world.stores.models.versions(LINE)] == [0, 5, 6]
    assert events(world)[0].figures["promoted"] == 0


def trained_on(world: World) -> tuple[TrainedModel, Lineage]:
    trainer = Recording(LocalTrainer(world.stores.objects))
    stage(world, trainer).run(world.desk())
    lineage = world.stores.models.live(LINE).lineage
    assert lineage is not None
    return LocalTrainer(world.stores.objects).fit(trainer.plans[0]), lineage


def test_two_jobs_that_register_at_once_get_two_versions_and_keep_their_weights() -> None:
    world = World.after_round()
    trained, lineage = trained_on(world)
    theirs = replace(trained, weights=other_model(trained.weights))
    rival = replace(lineage, job_id=JobId("job-2"))

    class Racing:
        """A registry in which a rival takes the next number just before we do."""

        def __init__(self) -> None:
            self.beaten = False

        def __getattr__(self, name: str) -> object:
            return getattr(world.stores.models, name)

        def add(self, record: object) -> None:
            if not self.beaten:
                self.beaten = True
                register(world.stores, world.job, theirs, replace(rival, round=9), 0.0)
            world.stores.models.add(record)  # type: ignore[arg-type]

    racing = replace(world.stores, models=Racing())  # type: ignore[arg-type]
    ours = register(racing, world.job, trained, replace(lineage, round=9), 0.0)

    versions = {record.spec.version: record for record in world.stores.models.versions(LINE)}
    assert ours.spec.version == 3
    assert versions[2].spec.weights_path is not None
    assert world.stores.objects.read(versions[2].spec.weights_path) == theirs.weights


def other_model(content: bytes) -> bytes:
    """Return a model file with another last weight."""
    return CrossFitted.load(content[:-4] + np.float32(0.5).tobytes()).save()


def test_promoting_twice_is_promoting_once() -> None:
    world = World.after_round()
    trained, lineage = trained_on(world)
    record = register(world.stores, world.job, trained, replace(lineage, round=2), 0.0)
    version, settings, why = record.spec.version, RolloutSettings(), WHY

    assert admit(world.stores, LINE, version, 1, settings, why) is Stage.LIVE
    assert admit(world.stores, LINE, version, 1, settings, why) is Stage.LIVE
    assert admit(world.stores, LINE, 1, 0, settings, why) is Stage.REGISTERED
    assert live(world) == version
    assert world.stores.lines.standing(LINE).revision == 3


def test_what_is_not_a_model_file_is_refused_by_the_registry() -> None:
    world = World.after_round()
    trained, lineage = trained_on(world)

    with pytest.raises(ModelUnusable, match="not a safetensors file"):
        register(
            world.stores,
            world.job,
            replace(trained, weights=b"PK\x03\x04 a torch.save archive"),
            replace(lineage, round=2),
            StepClock().now(),
        )
