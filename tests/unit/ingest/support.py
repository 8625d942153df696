"""Jobs, sources and pictures small enough to read in a test."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from cluster import paths
from cluster.domain.ids import JobId, ModelName, TenantId
from cluster.domain.items import Chunk, Modality, RejectedRow
from cluster.domain.jobs import Job, JobSpec, JobState, Progress, Source, SourceFormat
from cluster.domain.labels import Label, LabelSet
from cluster.ports import Stores
from cluster.runner import JobDesk
from cluster.settings import IngestSettings, Settings
from cluster.stores.memory import memory_stores
from cluster.stores.memory.ledger import MemoryChunks
from cluster.stores.objects import MemoryObjects
from ingest.rows import Layout, Row
from ingest.stage import IngestStage

JOB = JobId("job-1")
TENANT = TenantId("acme")
UPLOAD = "upload-1"
SETTINGS = Settings(ingest=IngestSettings(chunk_rows=4))


class StepClock:
    """A clock that moves a second with every look."""

    def __init__(self) -> None:
        self._now = 1_000.0

    def now(self) -> float:
        self._now += 1.0
        return self._now


def source(format: SourceFormat = "jsonl", **fields: Any) -> Source:  # noqa: A002 (its name)
    return Source(**{"uri": f"upload://{UPLOAD}", "format": format, **fields})


def job(spec_source: Source, modality: Modality = "text") -> Job:
    return Job(
        job_id=JOB,
        tenant_id=TENANT,
        model_name=ModelName("line-1"),
        state=JobState.INGESTING,
        created_at=0.0,
        updated_at=0.0,
        spec=JobSpec(
            name="a job",
            modality=modality,
            label_set=LabelSet((Label("yes"), Label("no"))),
            source=spec_source,
        ),
    )


def layout(format: SourceFormat = "jsonl", **fields: Any) -> Layout:  # noqa: A002 (its name)
    defaults = {
        "uri": "upload://x",
        "format": format,
        "modality": "text",
        "id_field": "id",
        "content_field": "text",
        "record_bytes_max": 1_000,
        "decoded_bytes_max": 2**30,
    }
    return Layout(**{**defaults, **fields})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What a run of the stage has left behind."""

    items: tuple[tuple[int, str, str | bytes], ...]
    errors: tuple[dict[str, Any], ...]
    progress: Progress
    stores: Stores

    @property
    def ids(self) -> list[str]:
        return [item_id for _, item_id, _ in self.items]

    def objects(self) -> dict[str, bytes]:
        """Every object of the job, by path."""
        store = self.stores.objects
        return {path: store.read(path) for path in store.list(f"jobs/{JOB}")}


def stores_with(content: bytes, **replaced: Any) -> Stores:
    """Return stores in which the tenant has one upload."""
    objects = MemoryObjects()
    objects.write(paths.upload(TENANT, UPLOAD), content)
    return replace(memory_stores(objects), **replaced)


def desk_of(stores: Stores, new: Job) -> JobDesk:
    stored = stores.jobs.create(new, None)
    return JobDesk(stored, stores.jobs, stores.events, StepClock())


def ingest(
    content: bytes,
    spec_source: Source | None = None,
    settings: Settings = SETTINGS,
    modality: Modality = "text",
) -> Ingested:
    """Run the stage over an upload and return what it made of it."""
    stores = stores_with(content)
    desk = desk_of(stores, job(spec_source or source(), modality))
    assert IngestStage(stores, settings).run(desk) is JobState.PRELABELLING
    return ingested(stores)


def ingested(stores: Stores) -> Ingested:
    lines = stores.objects.read(paths.errors(JOB)).splitlines()
    return Ingested(
        items=tuple(items_of(stores)),
        errors=tuple(json.loads(line) for line in lines),
        progress=stores.jobs.load(JOB).progress,
        stores=stores,
    )


def items_of(stores: Stores) -> list[tuple[int, str, str | bytes]]:
    found: list[tuple[int, str, str | bytes]] = []
    for chunk in stores.chunks.chunks(JOB):
        with stores.objects.open_input(chunk.items_path) as stream:
            columns = pq.read_table(stream).to_pydict()
        found.extend(zip(columns["position"], columns["item_id"], columns["content"], strict=True))
    return found


def jsonl(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, **options)
    return stream.getvalue()


def picture(kind: str = "PNG", size: tuple[int, int] = (8, 6), **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise(size, 90).convert("RGB").save(stream, kind, **options)
    return stream.getvalue()


def rejected(found: Sequence[Row | RejectedRow]) -> list[tuple[int, str | None, str, str]]:
    """Return the refused rows as (line, field, code, detail)."""
    return [
        (row.line, row.field, row.code, row.detail) for row in found if isinstance(row, RejectedRow)
    ]


def accepted(found: Sequence[Row | RejectedRow]) -> list[Row]:
    return [row for row in found if isinstance(row, Row)]


class Killed(Exception):
    """Stands for the death of the process."""


class DyingChunks(MemoryChunks):
    """A ledger whose process dies at one chunk, just before or just after it is recorded."""

    def __init__(self, dies_at: int, *, recorded: bool) -> None:
        super().__init__()
        self.dies_at: int | None = dies_at
        self._recorded = recorded

    def add(self, chunks: Sequence[Chunk]) -> None:
        dies = any(chunk.number == self.dies_at for chunk in chunks)
        if self._recorded or not dies:
            super().add(chunks)
        if dies:
            raise Killed
