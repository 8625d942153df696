"""The last stage of a job: its results as one Parquet file and one JSON-lines file."""


import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.jobs import JobState
from cluster.errors import ObjectMissing
from cluster.ports import Stores
from cluster.result_writer import SCHEMA, newest_tables
from cluster.runner import JobDesk
from serve_apps.json_lines import json_lines


class ExportStage:
    """Runs the state EXPORTING: every item once, under its newest revision.

    It goes segment after segment, so that memory grows by four bytes an item and no more.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def run(self, desk: JobDesk) -> JobState:
        """Write both files anew; raises JobCancelled."""
        started_at = desk.clock.now()
        job_id = desk.job.job_id
        rows = 0
        objects = self._stores.objects
        with (
            objects.open_output(paths.export(job_id, "parquet")) as parquet,
            objects.open_output(paths.export(job_id, "jsonl")) as lines,
            pq.ParquetWriter(parquet, SCHEMA) as writer,
        ):
            for table in newest_tables(self._stores, job_id):
                desk.check()
                writer.write_table(table)
                lines.write(json_lines(table))
                rows += table.num_rows
        if rows != desk.job.progress.items:
            raise ObjectMissing(f"{paths.export(job_id, 'parquet')}, {rows:,} labels written,")
        seconds = desk.clock.now() - started_at
        desk.record("export.done", f"{rows:,} labels exported", items=rows, seconds=seconds)
        return JobState.COMPLETED
