"""Jobs of a test's gateway, run to their end in this process by the stages of the service."""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import cast

from cluster.domain.ids import JobId
from cluster.domain.jobs import Job, JobState
from cluster.model_settings import LearningSettings
from cluster.runner import JobDesk, JobRunner, Stage
from cluster.settings import AllocatorSettings
from cluster.telemetry.memory import MemoryTelemetry
from serve_apps.jobs.stages import job_stages
from serve_apps.prelabel.cache import ModelCache
from serve_apps.prelabel.loading import ModelLoader
from serve_apps.prelabel.local import LocalPredictor
from serve_apps.prelabel.predictor import ChunkPredictor
from serve_apps.prelabel.work import ChunkWork, Flight
from tests.unit.gateway.world import PRELABEL, World
from training.plan import Trainer, Untuned


def run_job(
    world: World,
    job_id: str,
    before_export: Callable[[JobId], None] | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> Job:
    """Run a job by its model and whatever crowd the shard has, and return it as it ended.

    `meanwhile` is called whenever a stage waits: a crowd may answer then.
    """
    stores, clock = world.stores, world.clock
    settings = world.services.settings.model_copy(
        update={
            "allocator": AllocatorSettings(shards=1),
            "learning": LearningSettings(enabled=False),
        }
    )

    def wait(seconds: float) -> None:
        clock.time += seconds
        if meanwhile is not None:
            meanwhile()

    models = ModelCache(
        ModelLoader(threads=1, image_pixels_max=10**6, pause=wait), stores.objects, 1
    )
    predictor = LocalPredictor(ChunkPredictor(stores.objects, PRELABEL, models, clock), threads=1)
    with closing(predictor):
        stages = job_stages(
            stores,
            settings,
            predictor=predictor,
            dedicated=_of_its_own,
            shards=[world.shard],
            trainer=cast("Trainer", None),
            tuner=Untuned(),
            clock=clock,
            wait=wait,
            code_version="test",
            warm=predictor.warm,
        )
        if before_export is not None:
            exporting = stages[JobState.EXPORTING]
            stages = {**stages, JobState.EXPORTING: Disturbed(exporting, before_export)}
        runner = JobRunner(
            stores.jobs,
            stores.events,
            stages,
            clock,
            dismiss=_nobody,
            hold=_nobody,
            telemetry=MemoryTelemetry(),
        )
        return runner.run(JobId(job_id))


class Disturbed:
    """A stage before which something happens."""

    def __init__(self, stage: Stage, happening: Callable[[JobId], None]) -> None:
        self._stage, self._happening = stage, happening

    def run(self, desk: JobDesk) -> JobState:
        self._happening(desk.job.job_id)
        return self._stage.run(desk)


def _of_its_own(works: Sequence[ChunkWork]) -> Flight:
    raise AssertionError(f"{len(works)} chunks for replicas that are not there")


def _nobody(job_id: JobId) -> None:
    del job_id
