"""The last stage of a job: its results as one Parquet file and one JSON-lines file, and where the
source is a manifest as that, too."""

import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.jobs import JobState
from cluster.errors import BadInput, ObjectMissing
from cluster.ports import Stores
from cluster.result_writer import REPEATED, SCHEMA, newest_tables
from cluster.runner import JobDesk
from cluster.settings import Settings
from ingest.rows import layout_of
from ingest.sources import Sources
from serve_apps.json_lines import json_lines
from serve_apps.manifests import write_manifest


class ExportStage:
    """Runs the state EXPORTING: every item once, under its newest revision.

    It goes segment after segment, so that memory grows by four bytes an item and no more, and by
    eleven where there is a manifest.
    """

    def __init__(self, stores: Stores, settings: Settings) -> None:
        self._stores, self._settings = stores, settings

    def run(self, desk: JobDesk) -> JobState:
        """Write all files anew; raises JobCancelled."""
        started_at = desk.clock.now()
        job_id = desk.job.job_id
        rows = 0
        objects = self._stores.objects
        with (
            objects.open_output(paths.export(job_id, "parquet")) as parquet,
            objects.open_output(paths.export(job_id, "jsonl")) as lines,
            pq.ParquetWriter(parquet, SCHEMA, use_dictionary=list(REPEATED)) as writer,
        ):
            for table in newest_tables(self._stores, job_id):
                desk.check()
                writer.write_table(table)
                lines.write(json_lines(table))
                rows += table.num_rows
        if rows != desk.job.progress.items:
            raise ObjectMissing(f"{paths.export(job_id, 'parquet')}, {rows:,} labels written,")
        if desk.job.spec.source.format == "manifest":
            self._export_manifest(desk)
        seconds = desk.clock.now() - started_at
        desk.record("export.done", f"{rows:,} labels exported", items=rows, seconds=seconds)
        return JobState.COMPLETED

    def _export_manifest(self, desk: JobDesk) -> None:
        """Write the source's lines with their labels, if the source is still what it was."""
        job, limits = desk.job, self._settings.limits
        objects, uri = self._stores.objects, job.spec.source.uri
        sources = Sources(objects, job.tenant_id, self._settings.allowed_roots)
        bytes_max = layout_of(job.spec, limits).record_bytes_max
        path = paths.export(job.job_id, "manifest")
        try:
            with (
                sources.open(uri, limits.source_bytes_max) as source,
                objects.open_output(path) as output,
            ):
                now = desk.clock.now()
                lines = write_manifest(output, source, self._stores, job, now, bytes_max)
        except BadInput as error:
            # The labels are there and paid for, whatever has become of the source.
            desk.record("export.manifest_missing", str(error))
            return
        desk.record("export.manifest", f"{lines:,} lines with their labels", lines=lines)
