"""The stages of a job, composed of every package's part."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from allocation.ports import Shard
from allocation.stage import AskStage
from cluster.clock import Clock
from cluster.domain.jobs import JobState
from cluster.domain.models import ModelSpec
from cluster.ports import Stores
from cluster.runner import Stage
from cluster.settings import Settings
from ingest.stage import IngestStage
from serve_apps.export import ExportStage
from serve_apps.prelabel.stage import PrelabelStage
from serve_apps.prelabel.work import BulkPredictor, Dedicated
from training.lines import RollbackWatch
from training.plan import Trainer, Tuner
from training.stage import LearnStage


def job_stages(
    stores: Stores,
    settings: Settings,
    *,
    predictor: BulkPredictor,
    dedicated: Dedicated,
    shards: Sequence[Shard],
    trainer: Trainer,
    tuner: Tuner,
    clock: Clock,
    wait: Callable[[float], object],
    code_version: str,
    warm: Callable[[ModelSpec], None],
) -> Mapping[JobState, Stage]:
    """Return the stage of every state a running job can be in."""
    trainings_max = settings.learning.trainings_max if settings.learning.enabled else 0
    return {
        JobState.INGESTING: IngestStage(stores, settings),
        JobState.PRELABELLING: PrelabelStage(
            stores, settings.prelabel, predictor, clock, dedicated
        ),
        JobState.ASKING: AskStage(
            stores, settings.asking, trainings_max, shards, wait, partial(RollbackWatch, stores)
        ),
        JobState.LEARNING: LearnStage(stores, trainer, code_version, settings.rollout, warm, tuner),
        JobState.EXPORTING: ExportStage(stores, settings),
    }
