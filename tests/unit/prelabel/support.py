"""Jobs, chunks and models small enough to read in a test."""

import os
from collections.abc import Callable, Sequence
from hashlib import blake2b
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId, ModelName, TenantId
from cluster.domain.items import Chunk, Modality
from cluster.domain.jobs import Job, JobSpec, JobState, Source
from cluster.domain.labels import Label, LabelSet
from cluster.domain.models import ZERO_SHOT, ModelSpec
from cluster.model_settings import PrelabelSettings
from cluster.ports import ObjectStore
from serve_apps.prelabel.cache import ModelCache
from serve_apps.prelabel.loading import ModelLoader
from serve_apps.prelabel.model import Content, Encoder, Version
from serve_apps.prelabel.predictor import ChunkPredictor

JOB = JobId("job-1")
MODEL = ModelName("line-1")
LABELS = LabelSet((Label("animal"), Label("food"), Label("sport")))


class StepClock:
    """A clock that moves one second with every look."""

    def __init__(self) -> None:
        self._now = 1_000.0

    def now(self) -> float:
        self._now += 1.0
        return self._now


class CountingSource:
    """Real models, and a count of what was loaded and of the contents that were prepared."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.prepared: list[Content] = []
        self._loader = loader()

    def encoder(self, base_model: str, modality: Modality) -> Encoder:
        self.loaded.append(base_model)
        encoder = self._loader.encoder(base_model, modality)
        prepare = encoder.prepare

        def counted(contents: Sequence[Content]) -> list[object]:
            self.prepared.extend(contents)
            return list(prepare(contents))

        encoder.prepare = counted  # type: ignore[assignment,method-assign]
        return encoder

    def version(
        self, weights: bytes, base_model: str, encoder: Callable[[], Encoder], model: str
    ) -> Version:
        self.loaded.append(model)
        return self._loader.version(weights, base_model, encoder, model)


def loader(die: Callable[[], object] = os.abort) -> ModelLoader:
    return ModelLoader(
        threads=1, image_pixels_max=10_000, pause=_no_pause, die=die, precision="float32"
    )


def _no_pause(seconds: float) -> None:
    del seconds


def predictor_over(
    objects: ObjectStore,
    source: CountingSource | None = None,
    die: Callable[[], object] = os.abort,
    **settings: int,
) -> ChunkPredictor:
    prelabel = PrelabelSettings.model_validate(settings)
    models = ModelCache(source or loader(die), objects, prelabel.models_per_replica_max)
    return ChunkPredictor(objects, prelabel, models, StepClock())


def content_hash(content: Content) -> bytes:
    encoded = content.encode() if isinstance(content, str) else content
    return blake2b(encoded, digest_size=16).digest()


def store_chunk(
    objects: ObjectStore, contents: Sequence[Content], number: int = 0, first: int = 0
) -> Chunk:
    """Write a chunk of items named `item-<position>` and return it."""
    positions = range(first, first + len(contents))
    table = pa.table(
        {
            "position": pa.array(positions, pa.int64()),
            "line": pa.array([position + 1 for position in positions], pa.int64()),
            "item_id": [f"item-{position}" for position in positions],
            "content": list(contents),
            "content_hash": pa.array([content_hash(each) for each in contents], pa.binary(16)),
        }
    )
    path = paths.items(JOB, number)
    with objects.open_output(path) as sink:
        pq.write_table(table, sink)
    return Chunk(
        job_id=JOB, number=number, first_position=first, rows=len(contents), items_path=path
    )


def model_spec(
    base_model: str = "fake",
    version: int = ZERO_SHOT,
    weights_path: str | None = None,
    labels: LabelSet = LABELS,
    modality: Modality = "text",
) -> ModelSpec:
    return ModelSpec(
        name=MODEL,
        version=version,
        base_model=base_model,
        modality=modality,
        label_set=labels,
        weights_path=weights_path,
    )


def a_job(state: JobState = JobState.PRELABELLING, base_model: str = "fake") -> Job:
    spec = JobSpec(
        name="test",
        modality="text",
        label_set=LABELS,
        source=Source(uri="inline", format="jsonl"),
        base_model=base_model,
    )
    return Job(
        job_id=JOB,
        tenant_id=TenantId("tenant"),
        spec=spec,
        model_name=MODEL,
        state=state,
        created_at=0.0,
        updated_at=0.0,
    )


def read_predictions(objects: ObjectStore, path: str) -> tuple[list[int], npt.NDArray[np.float32]]:
    table = pq.read_table(BytesIO(objects.read(path)))
    return table["position"].to_pylist(), np.array(table["probabilities"].to_pylist(), np.float32)
