"""The stage of a job in which its source becomes chunks."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO

from cluster import paths
from cluster.domain.items import RejectedRow
from cluster.domain.jobs import JobState
from cluster.errors import EmptySource, UnreadableSource
from cluster.partitioning import plan_partitions
from cluster.ports import Stores
from cluster.runner import JobDesk
from cluster.settings import Settings
from ingest.chunks import chunk_of, write_chunk
from ingest.intake import Intake
from ingest.plan import plan_chunks
from ingest.reader import read_rows
from ingest.rejects import RejectLog
from ingest.rows import Candidate, Row, layout_of
from ingest.sources import Sources
from ingest.validate import Validator

_ROWS_PER_CHECK = 4_096
_CHUNKS_PER_EVENT = 1_000
_REPORT_EVERY_S = 1.0


class IngestStage:
    """Streams a job's source into chunks, an error file and partitions.

    All of it follows from the source alone. So a run that was killed is simply run again: it reads
    from the start, as ids and errors must be known again, and writes from the first chunk on that
    is not in the ledger.
    """

    def __init__(self, stores: Stores, settings: Settings) -> None:
        self._stores, self._settings = stores, settings

    def run(self, desk: JobDesk) -> JobState:
        """Ingest the job's source and return the state that follows.

        Raises EmptySource where no row was accepted, any other BadInput that concerns the source as
        a whole, and StoreBusy where it is to be tried again.
        """
        _Run(desk, self._stores, self._settings).run()
        return JobState.PRELABELLING


class _Run:
    """One pass over the source of one job."""

    def __init__(self, desk: JobDesk, stores: Stores, settings: Settings) -> None:
        self._desk, self._stores, self._settings = desk, stores, settings
        self._job_id, self._spec = desk.job.job_id, desk.job.spec
        self._layout = layout_of(self._spec, settings.limits)
        self._recorded = stores.chunks.chunks(self._job_id)
        self._started_at = self._reported_at = desk.clock.now()
        self._chunks = self._items = 0

    def run(self) -> None:
        """Do all of the stage's work."""
        limits, uri = self._settings.limits, self._layout.uri
        objects = self._stores.objects
        sources = Sources(objects, self._desk.job.tenant_id, self._settings.allowed_roots)
        fetch = partial(sources.read, bytes_max=limits.image_bytes_max)
        with (
            sources.open(uri, limits.source_bytes_max) as stream,
            objects.open_output(paths.errors(self._job_id)) as error_file,
        ):
            rejects = RejectLog(error_file, limits.rejected_rows_max)
            validator = Validator(self._layout, limits, fetch)
            intake = Intake(validator, rejects, self._layout)
            self._write_chunks(intake, stream)
            rejects.end()
        self._finish(intake)

    def _write_chunks(self, intake: Intake, stream: BinaryIO) -> None:
        rows = self._watched(read_rows(stream, self._layout))
        bounds = self._settings.ingest
        accepted = intake.accept(rows)
        for items in plan_chunks(accepted, bounds.chunk_rows, bounds.chunk_bytes_max):
            self._desk.check()
            self._keep(items)
            self._report_now_and_then(intake)
        if self._chunks < len(self._recorded):
            raise self._changed()

    def _watched(self, rows: Iterable[Row | RejectedRow]) -> Iterator[Row | RejectedRow]:
        """Listen for cancelling also where no row is ever accepted."""
        for number, row in enumerate(rows, 1):
            if number % _ROWS_PER_CHECK == 0:
                self._desk.check()
            yield row

    def _keep(self, items: Sequence[Candidate]) -> None:
        """Store the next chunk, unless an earlier run did."""
        chunk = chunk_of(self._job_id, self._chunks, self._items, len(items))
        self._chunks += 1
        self._items += chunk.rows
        if chunk.number >= len(self._recorded):
            write_chunk(self._stores.objects, chunk, items, self._spec.modality)
            self._stores.chunks.add([chunk])
            if self._chunks % _CHUNKS_PER_EVENT == 0:
                figures = {"chunks": self._chunks, "items": self._items}
                self._desk.record("ingest.chunk", f"{self._items:,} items so far", **figures)
        elif self._recorded[chunk.number] != chunk:
            raise self._changed()

    def _changed(self) -> UnreadableSource:
        return UnreadableSource(self._layout.uri, "it has changed while it was read")

    def _report_now_and_then(self, intake: Intake) -> None:
        """Report what is new since the last time; progress never goes back to an earlier chunk."""
        due = self._desk.clock.now() - self._reported_at >= _REPORT_EVERY_S
        if due and self._chunks > len(self._recorded):
            self._report(intake)

    def _report(self, intake: Intake) -> None:
        self._reported_at = self._desk.clock.now()
        progress = replace(
            self._desk.job.progress,
            items=self._items,
            rejected=intake.rejected,
            duplicates=intake.duplicates,
            chunks=self._chunks,
        )
        self._desk.report(progress)

    def _finish(self, intake: Intake) -> None:
        self._report(intake)
        if not self._items:
            raise EmptySource(self._layout.uri, intake.rejected)
        allocator = self._settings.allocator
        self._stores.partitions.add(
            plan_partitions(
                self._job_id,
                self._items,
                shards=allocator.shards,
                partition_items_max=allocator.partition_items_max,
            )
        )
        self._desk.record(
            "ingest.done",
            f"{self._items:,} items accepted, {intake.rejected:,} rows rejected",
            items=self._items,
            rejected=intake.rejected,
            duplicates=intake.duplicates,
            bytes=intake.content_bytes,
            seconds=self._desk.clock.now() - self._started_at,
        )
