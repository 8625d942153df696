"""Jobs that have ended with any number of results, made by the parts that make them in earnest.

Items come by the ingest stage and labels by the result writer; only the crowd between is left out.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cluster import paths
from cluster.clock import SystemClock
from cluster.domain.ids import JobId, ModelName, TenantId
from cluster.domain.jobs import Job, JobSpec, JobState, Source
from cluster.domain.labels import Label, LabelSet
from cluster.ports import Stores
from cluster.result_writer import SCHEMA, DecidedLabels, ResultWriter
from cluster.runner import JobDesk
from cluster.settings import Settings
from cluster.stores.memory import memory_stores
from ingest.stage import IngestStage
from serve_apps.export import ExportStage

LABELS = LabelSet((Label("no"), Label("yes"), Label("neither")))


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedJob:
    """A job whose results lie ready; `export_s` is what its last stage took for both files."""

    job_id: JobId
    rows: int
    export_s: float
    plain_write_s: float


def finish(
    stores: Stores, settings: Settings, tenant_id: TenantId, rows: int, folder: Path
) -> FinishedJob:
    """Run a job of so many items to its end, without asking anybody.

    Its record is out of sight until then: a service over the same stores would run it as well.
    """
    shown, aside = stores, memory_stores(stores.objects)
    stores = replace(stores, jobs=aside.jobs, events=aside.events)
    file = folder / f"{rows}.jsonl"
    with file.open("w") as lines:
        lines.writelines(f'{{"id": "item-{row:09d}", "text": "t{row}"}}\n' for row in range(rows))
    desk = JobDesk(
        _created(stores, tenant_id, rows, file), stores.jobs, stores.events, SystemClock()
    )
    IngestStage(stores, settings).run(desk)
    for state in (JobState.PRELABELLING, JobState.ASKING):
        desk.move(state)
    ResultWriter(stores, desk.job.job_id, LABELS).append(_labels(rows))
    desk.report(replace(desk.job.progress, final=rows))
    desk.move(JobState.EXPORTING)
    started = perf_counter()
    desk.move(ExportStage(stores, settings).run(desk))
    export_s = perf_counter() - started
    shown.jobs.create(desk.job, None)
    return FinishedJob(
        job_id=desk.job.job_id,
        rows=rows,
        export_s=export_s,
        plain_write_s=_plain_write_s(stores, desk.job.job_id, folder),
    )


def _created(stores: Stores, tenant_id: TenantId, rows: int, file: Path) -> Job:
    job = Job(
        job_id=JobId(f"finished-{rows}"),
        tenant_id=tenant_id,
        model_name=ModelName(f"finished-{rows}"),
        state=JobState.INGESTING,
        created_at=0.0,
        updated_at=0.0,
        spec=JobSpec(
            name=f"{rows} results",
            modality="text",
            label_set=LABELS,
            source=Source(uri=file.as_uri(), format="jsonl"),
        ),
    )
    return stores.jobs.create(job, None)


def _labels(rows: int) -> DecidedLabels:
    rng = np.random.default_rng(rows)
    return DecidedLabels(
        positions=np.arange(rows, dtype=np.int64),
        label=rng.integers(0, len(LABELS), rows),
        probability=rng.uniform(0.5, 1.0, rows),
        decided_by=["model"] * rows,
        answers=np.zeros(rows, dtype=np.int32),
        model_version=np.ones(rows, dtype=np.int32),
        audited=rng.random(rows) < 0.01,
        revision=np.zeros(rows, dtype=np.int32),
        difficulty=rng.integers(0, 3, rows).astype(np.int8),
    )


def _plain_write_s(stores: Stores, job_id: JobId, folder: Path) -> float:
    """Return how long pyarrow takes to write the same rows as one Parquet file, all in memory."""
    with stores.objects.open_input(paths.export(job_id, "parquet")) as stored:
        table: pa.Table = pq.read_table(stored, schema=SCHEMA)
    started = perf_counter()
    pq.write_table(table, folder / "plain.parquet")
    return perf_counter() - started
