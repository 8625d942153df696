"""A small job as the learning stage finds it: chunks, features, a consensus, pre-labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId, ModelName, TenantId
from cluster.domain.items import Chunk, ChunkPrediction
from cluster.domain.jobs import Job, JobSpec, JobState, Progress, RecipeName, Source
from cluster.domain.labels import Label, LabelSet
from cluster.domain.models import ZERO_SHOT, ModelRecord, ModelSpec
from cluster.ports import ObjectStore, Stores
from cluster.runner import JobDesk
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from tests.model_lines import go_live
from training.building import build_snapshot
from training.data import TrainingData
from training.gate import judge_candidate
from training.local import LocalTrainer
from training.plan import TrainingPlan
from training.promotion import PromotionDecision
from training.recipes import recipe_of
from training.tables import lists_of

JOB = JobId("job-1")
LINE = ModelName("acme/text-minilm-1")
NAMES = ("cat", "dog", "owl")
CHUNK_ROWS = 50

Floats = npt.NDArray[np.float32]


class StepClock:
    """A clock that moves one second with every look."""

    def __init__(self) -> None:
        self._now = 1_000.0

    def now(self) -> float:
        self._now += 1.0
        return self._now


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Items as Gaussian clouds, one a class: features (n, D) and true labels (n,)."""

    features: Floats
    labels: npt.NDArray[np.int64]

    @classmethod
    def draw(cls, items: int, seed: int = 0, classes: int = 3, spread: float = 1.0) -> "Points":
        rng = np.random.default_rng(seed)
        centres = np.random.default_rng(1).normal(size=(classes, 16))
        labels = rng.integers(0, classes, items)
        features = centres[labels] + spread * rng.normal(size=(items, 16))
        return cls(features.astype(np.float16).astype(np.float32), labels)

    def targets(self, noise: float = 0.0, seed: int = 0) -> Floats:
        """Return posteriors of a crowd that errs on a share of the items and knows it."""
        rng = np.random.default_rng(seed)
        classes = int(self.labels.max()) + 1
        wrong = rng.random(len(self.labels)) < noise
        said = np.where(wrong, rng.integers(0, classes, len(self.labels)), self.labels)
        sure = 1.0 - max(noise, 0.02)
        targets = np.full((len(said), classes), (1.0 - sure) / (classes - 1), np.float32)
        targets[np.arange(len(said)), said] = sure
        return targets

    def training_data(self, folds: int = 5, noise: float = 0.0) -> TrainingData:
        return TrainingData(
            features=self.features,
            targets=self.targets(noise),
            weights=np.ones(len(self.labels), np.float32),
            folds=np.random.default_rng(2).integers(0, folds, len(self.labels)),
        )


def bars(items: int, seed: int = 0) -> Points:
    """Return 3 x 32 x 32 images of a bright bar that is level (1) or upright (0), somewhere."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, items)
    pixels = rng.random((items, 3, 32, 32), np.float32) * np.float32(0.2)
    for image, label, place in zip(pixels, labels, rng.integers(8, 24, items), strict=True):
        if label:
            image[:, place : place + 3, :] = 1.0
        else:
            image[:, :, place : place + 3] = 1.0
    return Points(pixels.reshape(items, -1), labels)


def a_job(*, job_id: JobId = JOB, names: tuple[str, ...] = NAMES, images: bool = False) -> Job:
    spec = JobSpec(
        name="animals",
        modality="image" if images else "text",
        label_set=LabelSet(tuple(Label(name) for name in names)),
        source=Source(uri="upload://x", format="jsonl"),
        base_model="resnet" if images else "minilm",
        seed=7,
    )
    return Job(
        job_id=job_id,
        tenant_id=TenantId("acme"),
        spec=spec,
        model_name=LINE,
        state=JobState.LEARNING,
        created_at=0.0,
        updated_at=0.0,
        progress=Progress(rounds=1),
    )


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """A job's stores after a round of asking; every fourth item is an audit item."""

    stores: Stores
    points: Points
    job: Job
    contents: Sequence[str] = ()

    @classmethod
    def after_round(
        cls, items: int = 400, objects: ObjectStore | None = None, noise: float = 0.1
    ) -> "World":
        stores = memory_stores(objects or MemoryObjects())
        world = cls(stores, Points.draw(items), a_job())
        world.store_all(noise)
        return world

    @classmethod
    def of_images(cls, items: int, objects: ObjectStore) -> "World":
        """Return a job over images of upright and level bars."""
        world = cls(memory_stores(objects), bars(items), a_job(names=NAMES[:2], images=True))
        world.store_all(noise=0.0)
        return world

    def then(self, job_id: JobId, items: int, seed: int, noise: float = 0.1) -> "World":
        """Return another job of the same line after its first round, in the same stores."""
        world = World(self.stores, Points.draw(items, seed), a_job(job_id=job_id))
        world.store_job(noise)
        return world

    @classmethod
    def of_texts(
        cls,
        points: Points,
        contents: Sequence[str],
        base_model: str,
        recipe: RecipeName,
        objects: ObjectStore | None = None,
    ) -> "World":
        """Return a job over texts with two labels, for a recipe that reads them."""
        job = a_job(names=NAMES[:2])
        job = replace(job, spec=replace(job.spec, base_model=base_model, recipe=recipe))
        world = cls(memory_stores(objects or MemoryObjects()), points, job, contents)
        world.store_all(noise=0.0)
        return world

    @classmethod
    def told(
        cls,
        points: Points,
        live: Floats,
        believed: Floats,
        audit: Floats,
        contents: Sequence[str] = (),
    ) -> "World":
        """Return a job whose live model, crowd and audit answers said these (items, K)."""
        world = cls(memory_stores(MemoryObjects()), points, a_job(), contents)
        world.begin_line()
        world.stores.jobs.create(world.job, None)
        world.store_chunks()
        said = {"target": believed, "audit_posterior": audit}
        columns = {name: lists_of(values, pa.float32()) for name, values in said.items()}
        world.store_consensus({**world.consensus(), **columns})
        world.store_predictions(live)
        return world

    def candidate(self) -> Floats:
        """Return what a model that learns from the round says of the items it is judged on."""
        snapshot = build_snapshot(self.stores, self.job, 1)
        plan = TrainingPlan(snapshot=snapshot, recipe=recipe_of(self.job.spec), seed=0)
        return LocalTrainer(self.stores.objects).fit(plan).judged_probabilities

    def judged(self, candidate: Floats) -> PromotionDecision:
        """Return what the gate says of a candidate."""
        snapshot = build_snapshot(self.stores, self.job, 1)
        return judge_candidate(self.stores, snapshot, candidate).decision

    def store_all(self, noise: float) -> None:
        self.begin_line()
        self.store_job(noise)

    def store_job(self, noise: float) -> None:
        self.stores.jobs.create(self.job, None)
        self.store_chunks()
        self.store_consensus(self.consensus(noise))
        classes = len(self.job.spec.label_set)
        uniform = np.full((len(self.points.labels), classes), 1.0 / classes, np.float32)
        self.store_predictions(uniform)

    def desk(self) -> JobDesk:
        job = self.stores.jobs.load(self.job.job_id)
        return JobDesk(job, self.stores.jobs, self.stores.events, StepClock())

    def begin_line(self) -> None:
        spec = ModelSpec(
            name=LINE,
            version=ZERO_SHOT,
            base_model=self.job.spec.base_model,
            modality=self.job.spec.modality,
            label_set=self.job.spec.label_set,
            weights_path=None,
        )
        self.stores.models.add(ModelRecord(spec=spec, lineage=None, created_at=0.0))
        go_live(self.stores.lines, LINE, ZERO_SHOT)

    def chunks(self) -> list[Chunk]:
        starts = range(0, len(self.points.labels), CHUNK_ROWS)
        return [
            Chunk(
                job_id=self.job.job_id,
                number=number,
                first_position=start,
                rows=min(CHUNK_ROWS, len(self.points.labels) - start),
                items_path=paths.items(self.job.job_id, number),
            )
            for number, start in enumerate(starts)
        ]

    def content_hashes(self) -> list[bytes]:
        items = self.contents or [str(item) for item in range(len(self.points.labels))]
        return [blake2b(item.encode(), digest_size=16).digest() for item in items]

    def store_chunks(self) -> None:
        for chunk in self.chunks():
            rows = slice(chunk.first_position, chunk.first_position + chunk.rows)
            hashes = self.content_hashes()[rows]
            items = {
                "position": pa.array(range(rows.start, rows.stop), pa.int64()),
                "content_hash": pa.array(hashes, pa.binary(16)),
            }
            if self.contents:
                items["content"] = pa.array(self.contents[rows])
                items["item_id"] = pa.array([f"item-{row}" for row in range(chunk.rows)])
            self.store_table(chunk.items_path, items)
            features = self.points.features[chunk.first_position :][: chunk.rows]
            self.store_features(chunk, features, [None] * chunk.rows)
        self.stores.chunks.add(self.chunks())

    def store_features(self, chunk: Chunk, features: Floats, failures: list[str | None]) -> None:
        first = chunk.first_position
        columns = {
            "position": pa.array(range(first, first + len(features)), pa.int64()),
            "features": lists_of(features, pa.float16()),
            "failure": pa.array(failures, pa.string()),
        }
        path = paths.features(self.job.job_id, self.job.spec.base_model, chunk.number)
        self.store_table(path, columns)

    def consensus(self, noise: float = 0.1) -> dict[str, pa.Array]:
        items = len(self.points.labels)
        audit = np.arange(items) % 4 == 0
        targets = self.points.targets(noise)
        return {
            "position": pa.array(np.arange(items)),
            "posterior": lists_of(targets, pa.float32()),
            "target": lists_of(targets, pa.float32()),
            "answers": pa.array(np.full(items, 2, np.int32)),
            "audit": pa.array(audit),
            "audited": pa.array(audit),
            "trainable": pa.array(np.full(items, fill_value=True)),
            "audit_posterior": lists_of(self.points.targets(noise, seed=1), pa.float32()),
        }

    def store_consensus(self, columns: Mapping[str, pa.Array], round_number: int = 1) -> None:
        self.store_table(paths.consensus(self.job.job_id, round_number), columns)

    def store_predictions(self, probabilities: Floats, version: int = ZERO_SHOT) -> None:
        for chunk in self.chunks():
            path = paths.predictions(self.job.job_id, version, chunk.number)
            rows = probabilities[chunk.first_position :][: chunk.rows]
            columns = {
                "position": pa.array(
                    range(chunk.first_position, chunk.first_position + chunk.rows), pa.int64()
                ),
                "probabilities": lists_of(rows, pa.float32()),
            }
            self.store_table(path, columns)
            prediction = ChunkPrediction(
                job_id=self.job.job_id,
                number=chunk.number,
                model_version=version,
                line_revision=self.stores.lines.standing(LINE).revision,
                predictions_path=path,
            )
            self.stores.chunks.set_predicted([prediction])

    def store_table(self, path: str, columns: Mapping[str, pa.Array]) -> None:
        sink = BytesIO()
        pq.write_table(pa.table(dict(columns)), sink)
        self.stores.objects.write(path, sink.getvalue())

    def next_round(self) -> None:
        """Move the job to the next round, with the same consensus."""
        job = self.stores.jobs.load(self.job.job_id)
        progress = replace(job.progress, rounds=job.progress.rounds + 1)
        self.stores.jobs.save(replace(job, progress=progress))
        self.store_consensus(self.consensus(), progress.rounds)
