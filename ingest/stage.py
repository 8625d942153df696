"""The stage of a job in which its source becomes chunks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO

from cluster.domain.items import Chunk
from cluster.domain.jobs import JobState
from cluster.domain.pii import PiiTerms
from cluster.errors import EmptySource, UnreadableSource
from cluster.partitioning import plan_partitions
from cluster.ports import Stores
from cluster.runner import JobDesk
from cluster.settings import Settings
from ingest.bookmark import Bookmark, SourceMark
from ingest.checked import BlockCheck, Checked
from ingest.chunks import originals_of, read_bookmark, recall, write_chunk
from ingest.drafts import Draft, Drafts
from ingest.extent import Extent, MarkedBlock
from ingest.intake import Intake
from ingest.masking import ContentMask, Recogniser
from ingest.ordered import Watch, map_in_order
from ingest.plan import ChunkPlan
from ingest.reader import read_blocks
from ingest.recognisers import open_recogniser
from ingest.rejects import RejectLog
from ingest.rows import layout_of
from ingest.sources import Sources
from ingest.validate import Validator

_CHUNKS_PER_EVENT = 1_000
_CHUNKS_PER_RECORD = 8
"""Written chunks are recorded this many in one transaction, once there are many."""

_REPORT_EVERY_S = 1.0
_LISTEN_EVERY_S = 1.0
"""What the job's owner wishes is asked for this often, also while a block or chunk takes longer."""

_CHECKERS = 2
_BLOCKS_AHEAD = 4
"""Blocks of 2 MiB, or single images, are parsed, checked and hashed on threads."""

_WRITERS = 3
_CHUNKS_AHEAD = 8
_AHEAD_BYTES_MAX = 128 * 2**20
"""Chunks are written on threads, which mostly wait for the disk."""


OpenRecogniser = Callable[[PiiTerms, Settings], Recogniser]
"""Returns what recognises what some terms name; raises as `ingest.recognisers` does."""


class IngestStage:
    """Streams a job's source into chunks, an error file and partitions.

    All of it follows from the source alone, and every chunk carries the bookmark that stands after
    it. So a run that was killed is simply run again: it goes on behind the last chunk in the
    ledger, and reads of those before it only what tells their items from later ones.
    """

    def __init__(
        self,
        stores: Stores,
        settings: Settings,
        open_recogniser: OpenRecogniser = open_recogniser,
    ) -> None:
        self._stores, self._settings = stores, settings
        self._open_recogniser = open_recogniser

    def run(self, desk: JobDesk) -> JobState:
        """Ingest the job's source and return the state that follows.

        Raises EmptySource where no row was accepted, any other BadInput that concerns the source as
        a whole, and StoreBusy where it is to be tried again.
        """
        _Run(desk, self._stores, self._settings, self._open_recogniser).run()
        return JobState.PRELABELLING


class _Run:
    """One pass over what is left of the source of one job."""

    def __init__(
        self,
        desk: JobDesk,
        stores: Stores,
        settings: Settings,
        open_recogniser: OpenRecogniser,
    ) -> None:
        self._desk, self._stores, self._settings = desk, stores, settings
        self._open_recogniser = open_recogniser
        self._watch = Watch(self._listen, _LISTEN_EVERY_S)
        self._job_id, self._spec = desk.job.job_id, desk.job.spec
        self._layout = layout_of(self._spec, settings.limits)
        self._started_at = self._reported_at = self._listened_at = desk.clock.now()

    def run(self) -> None:
        """Do all of the stage's work."""
        limits, uri = self._settings.limits, self._layout.uri
        objects = self._stores.objects
        sources = Sources(objects, self._desk.job.tenant_id, self._settings.allowed_roots)
        fetch = partial(sources.read, bytes_max=limits.image_bytes_max)
        validator = Validator(self._layout, limits, fetch)
        check = BlockCheck(
            validator, self._layout.modality, limits.row_bytes_max, self._content_mask()
        )
        recorded = self._stores.chunks.chunks(self._job_id)
        with sources.open(uri, limits.source_bytes_max) as stream:
            bookmark = self._bookmark(stream, recorded)
            intake = Intake(self._layout)
            for known in map_in_order(partial(recall, objects), recorded, _CHECKERS, _BLOCKS_AHEAD):
                intake.recall(known)
                self._listen()
            rejects = RejectLog(objects, self._job_id, limits.rejected_rows_max, bookmark)
            bounds = self._settings.ingest
            plan = ChunkPlan(bounds.chunk_rows, bounds.chunk_bytes_max, bookmark.items)
            drafts = Drafts(plan, rejects, bookmark)
            extent = Extent(stream, self._layout, bookmark.source.size)
            blocks = extent.marked(read_blocks(stream, self._layout, bookmark.place))
            self._write(self._drafted(blocks, check, intake, drafts, extent), extent)
        rejects.end()
        self._finish(replace(drafts.standing, rejected=rejects.rows))

    def _content_mask(self) -> ContentMask | None:
        """Return what masks the job's contents, None where nothing is to be masked."""
        terms, bounds = self._spec.pii, self._settings.pii
        if terms is None:
            return None
        return ContentMask(
            self._open_recogniser(terms, self._settings),
            self._layout.content_field,
            bounds.text_chars_max,
            bounds.findings_max,
            self._watch.heed,
        )

    def _bookmark(self, stream: BinaryIO, recorded: Sequence[Chunk]) -> Bookmark:
        """Return where to go on; raises UnreadableSource where the source is another one now."""
        source = SourceMark.of(stream)
        if not recorded:
            return Bookmark(source=source)
        bookmark = read_bookmark(self._stores.objects, recorded[-1], self._layout.uri)
        if bookmark.source != source:
            raise UnreadableSource(self._layout.uri, "it has changed while it was read")
        return bookmark

    def _drafted(
        self,
        blocks: Iterator[MarkedBlock],
        check: BlockCheck,
        intake: Intake,
        drafts: Drafts,
        extent: Extent,
    ) -> Iterator[Draft]:
        """Yield the chunks to be written; listens for cancelling also where there are none."""

        def checked(marked: MarkedBlock) -> tuple[Checked, int]:
            block, end_bytes = marked
            return check.check(block()), end_bytes

        checks = map_in_order(checked, blocks, _CHECKERS, _BLOCKS_AHEAD, watch=self._watch)
        for each, end_bytes in checks:
            self._listen()
            extent.note(end_bytes)
            yield from drafts.add(intake.accept(each))
        yield from drafts.end()

    def _write(self, drafts: Iterator[Draft], extent: Extent) -> None:
        """Store chunks, with what was masked in them if it is kept and the rows refused on their
        way, and record them in order."""
        pii, objects = self._spec.pii, self._stores.objects

        def written(draft: Draft) -> tuple[Chunk, Bookmark]:
            if draft.errors is not None:
                objects.write(draft.errors.path, draft.errors.lines)
            chunk = write_chunk(objects, self._job_id, draft, self._spec.modality)
            if pii is not None and pii.unmask_for_cleared:
                self._stores.vault.put(self._desk.job.tenant_id, chunk, originals_of(draft))
            return chunk, draft.after

        ready = list[Chunk]()
        writing = map_in_order(
            written,
            drafts,
            _WRITERS,
            _CHUNKS_AHEAD,
            size=lambda draft: draft.content_bytes,
            size_max=_AHEAD_BYTES_MAX,
        )
        for chunk, after in writing:
            ready.append(chunk)
            if len(ready) >= min(chunk.number // _CHUNKS_PER_RECORD, _CHUNKS_PER_RECORD):
                self._record(ready, after, extent)
                ready = []
        if ready:
            self._record(ready, after, extent)

    def _record(self, chunks: Sequence[Chunk], after: Bookmark, extent: Extent) -> None:
        self._stores.chunks.add(chunks)
        if any((chunk.number + 1) % _CHUNKS_PER_EVENT == 0 for chunk in chunks):
            figures = {"chunks": after.chunks, "items": after.items}
            self._desk.record("ingest.chunk", f"{after.items:,} items so far", **figures)
        if self._desk.clock.now() - self._reported_at >= _REPORT_EVERY_S:
            self._report(after, extent.share(after))

    def _listen(self) -> None:
        """Raise JobCancelled or JobPaused where somebody has asked for it, soon after."""
        if self._desk.clock.now() - self._listened_at >= _LISTEN_EVERY_S:
            self._listened_at = self._desk.clock.now()
            self._desk.check()

    def _report(self, standing: Bookmark, read_share: float) -> None:
        self._reported_at = self._desk.clock.now()
        progress = replace(
            self._desk.job.progress,
            items=standing.items,
            rejected=standing.rejected,
            duplicates=standing.duplicates,
            chunks=standing.chunks,
            read_share=read_share,
        )
        self._desk.report(progress)

    def _finish(self, standing: Bookmark) -> None:
        self._report(standing, 1.0)
        if not standing.items:
            raise EmptySource(self._layout.uri, standing.rejected)
        allocator = self._settings.allocator
        self._stores.partitions.add(
            plan_partitions(
                self._job_id,
                standing.items,
                shards=allocator.shards,
                partition_items_max=allocator.partition_items_max,
            )
        )
        self._desk.record(
            "ingest.done",
            f"{standing.items:,} items accepted, {standing.rejected:,} rows rejected",
            items=standing.items,
            rejected=standing.rejected,
            duplicates=standing.duplicates,
            bytes=standing.content_bytes,
            seconds=self._desk.clock.now() - self._started_at,
        )
