"""A model line with two versions, in a world where a job is being asked."""

from dataclasses import replace

import numpy as np

from cluster.domain.ids import JobId
from cluster.domain.jobs import JobState
from cluster.domain.lines import LineStep, Stage, Traffic
from cluster.domain.models import Lineage, ModelRecord, ModelSpec
from cluster.model_settings import RolloutSettings
from serve_apps.jobs.rollout import Rollouts
from tests.unit.training.worlds import JOB, LINE, StepClock, World

OTHER = JobId("job-other")
SETTINGS = RolloutSettings(shadow_items_min=50, canary_items_min=50)


class Line:
    """A line at zero-shot with a second version, in a world where a job is being asked."""

    def __init__(self, *, trained_by: JobId = OTHER) -> None:
        self.world = World.after_round()
        stores = self.world.stores
        job = stores.jobs.load(JOB)
        stores.jobs.save(replace(job, state=JobState.ASKING))
        zero_shot = stores.models.live(LINE)
        lineage = Lineage(
            job_id=trained_by,
            round=1,
            parent=0,
            recipe="text_head",
            snapshot_path="",
            snapshot_hash="",
            code_version="0.1.0",
            seed=0,
        )
        spec = replace(zero_shot.spec, version=1, weights_path="models/1")
        stores.models.add(ModelRecord(spec=spec, lineage=lineage, created_at=0.0))
        self.loaded: list[int] = []
        self.rollouts = Rollouts(stores, SETTINGS, StepClock(), self.warm)

    def warm(self, spec: ModelSpec) -> None:
        self.loaded.append(spec.version)

    def say(self, version: int, *, right: float) -> None:
        """Store what a version says of the job's items: the truth on a share of them."""
        labels = self.world.points.labels
        rng = np.random.default_rng(version)
        said = np.where(rng.random(len(labels)) < right, labels, (labels + 1) % 3)
        self.world.store_predictions(np.eye(3, dtype=np.float32)[said] * 0.7 + 0.1, version)

    def traffic(self, stage: Stage, items: int, failed: int = 0) -> None:
        seen = Traffic(name=LINE, version=1, stage=stage, items=items, failed=failed)
        self.world.stores.traffic.add([replace(seen, last_at=1_000.0)])

    @property
    def standing(self) -> LineStep:
        return self.world.stores.lines.standing(LINE)

    def kinds(self, job_id: JobId = OTHER) -> list[str]:
        return [event.kind for event in self.world.stores.events.read(job_id, 0, 100)]
