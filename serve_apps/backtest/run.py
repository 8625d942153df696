"""Composes a backtest out of the service's parts and memory stores."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from allocation.campaign import Campaign
from allocation.retraining import Past
from allocation.sampling import AuditPlan, doubting_plan, uniform_plan
from allocation.service import ShardService
from allocation.terms import Rules
from cluster.domain.ids import JobId, ModelName, ShardId, TenantId
from cluster.domain.jobs import (
    Budget,
    CrowdTerms,
    Goal,
    Job,
    JobSpec,
    JobState,
    RecipeName,
    Source,
)
from cluster.domain.models import ZERO_SHOT
from cluster.model_settings import LearningSettings
from cluster.stores.memory import memory_stores
from cluster.stores.objects import open_objects
from serve_apps.backtest.learner import Learner, Legacy
from serve_apps.backtest.recording import Codes, Recording, read_recording
from serve_apps.backtest.replay import (
    Answerers,
    BacktestResult,
    FrontierPoint,
    RecordedAnswers,
    Replay,
    VirtualClock,
    only_partition,
)
from serve_apps.prelabel.loading import ModelLoader

THREADS = 2

TRAINING_S = 10.0
"""What a training is taken to last, in a replay's own seconds: it costs some fifty answers."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Prepared:
    """A recording with its items encoded, to be replayed any number of times."""

    recording: Recording
    learner: Learner | None

    def part(self, positions: Codes) -> "Prepared":
        """Return a job over some of the items, each once."""
        learner = None if self.learner is None else self.learner.rows(positions)
        return Prepared(recording=self.recording.part(positions), learner=learner)

    def after(self, legacy: Legacy | None) -> "Prepared":
        """Return the job as it runs once earlier jobs of its line have left something."""
        if self.learner is None or legacy is None:
            return self
        return replace(self, learner=self.learner.after(legacy))


def prepare(folder: Path, recipe_name: RecipeName = "auto") -> Prepared:
    """Read and encode a recorded crowd; raises BadInput for a folder that cannot be used."""
    recording = read_recording(folder)
    return Prepared(recording=recording, learner=_learner(recording, recipe_name))


def backtest(
    prepared: Prepared,
    *,
    target_accuracy: float,
    answers_max: int | None,
    seed: int,
    crowd: CrowdTerms | None = None,
    answerers: Answerers | None = None,
    trainings_max: int | None = None,
    proven: bool = False,
    on_point: Callable[[FrontierPoint], None] = lambda _: None,
) -> BacktestResult:
    """Replay a recorded crowd towards a target; `answerers` may answer in its stead.

    Models are trained as often as the service does it, or `trainings_max` times at most. Where the
    target is to be `proven`, more is asked until it is certified.
    """
    recording, learner = prepared.recording, prepared.learner
    spec = JobSpec(
        name=recording.name,
        modality=recording.modality,
        label_set=recording.label_set,
        source=Source(uri="recording://", format="parquet"),
        goal=Goal(accuracy=target_accuracy, proven=proven),
        budget=Budget(answers_max=answers_max),
        crowd=crowd or CrowdTerms(),
        seed=seed,
    )
    with TemporaryDirectory() as scratch:
        stores = memory_stores(open_objects(f"file://{scratch}"))
        partition = only_partition(len(recording.item_ids))
        stores.jobs.create(_job(spec, partition.job_id), None)
        stores.partitions.add([partition])
        clock = VirtualClock()
        shard = ShardService(ShardId(0), stores, clock, b"backtest" * 4, Rules())
        shard.open(partition.job_id, 0)
        plan = _audit_plan(learner, spec, partition.items)
        campaign = Campaign(
            spec,
            partition.items,
            trainings_max=_trainings_max(learner, trainings_max),
            audit_plan=plan,
            past=_past(learner),
        )
        replay = Replay(
            recording,
            answerers or RecordedAnswers(recording),
            campaign,
            shard,
            stores.answers,
            partition,
            clock,
            learner,
            seed,
        )
        return replay.run(on_point)


def _learner(recording: Recording, recipe_name: RecipeName) -> Learner | None:
    if recording.contents is None:
        return None
    loader = ModelLoader(threads=THREADS, image_pixels_max=50_000_000, pause=time.sleep)
    return Learner.over(
        recording.contents, recording.modality, recording.label_set, loader, recipe_name
    )


def _trainings_max(learner: Learner | None, wanted: int | None) -> int:
    if learner is None:
        return 0
    return LearningSettings().trainings_max if wanted is None else wanted


def _past(learner: Learner | None) -> Past:
    if learner is None:
        return Past(training_s=TRAINING_S)
    return Past(trained=learner.trained, earlier_rows=learner.earlier_rows, training_s=TRAINING_S)


def _audit_plan(learner: Learner | None, spec: JobSpec, items: int) -> AuditPlan:
    """Return the plan that the service would draw: by the doubts of a trained model."""
    if learner is None or learner.first.version == ZERO_SHOT:
        return uniform_plan(items, spec.crowd, spec.seed)
    believed = learner.first.probabilities.max(axis=1)
    return doubting_plan(believed, spec.goal.accuracy, spec.crowd, spec.seed)


def _job(spec: JobSpec, job_id: JobId) -> Job:
    return Job(
        job_id=job_id,
        tenant_id=TenantId("backtest"),
        spec=spec,
        model_name=ModelName("backtest"),
        state=JobState.ASKING,
        created_at=0.0,
        updated_at=0.0,
    )
