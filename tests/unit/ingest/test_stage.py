"""The stage as a whole: what it leaves behind, and that being killed changes nothing of it."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event
from typing import BinaryIO

import pyarrow.parquet as pq
import pytest

from cluster import paths
from cluster.domain.items import Chunk, Modality
from cluster.domain.jobs import Job, JobState, SourceFormat
from cluster.domain.masking import Finding
from cluster.domain.pii import PiiTerms
from cluster.errors import EmptySource, JobCancelled, JobPaused, UnreadableSource
from cluster.jobs import pause, request_cancel
from cluster.partitioning import plan_partitions
from cluster.ports import Stores
from cluster.settings import AllocatorSettings, IngestSettings, Settings
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from ingest.chunks import items_schema
from ingest.stage import IngestStage
from tests.unit.ingest.support import (
    JOB,
    SETTINGS,
    TENANT,
    UPLOAD,
    DyingChunks,
    Ingested,
    Killed,
    desk_of,
    ingest,
    ingested,
    job,
    jsonl,
    parquet,
    picture,
    source,
    stores_with,
)

ROWS = [{"id": f"i{number}", "text": f"text {number % 5}"} for number in range(18)]
PNG = base64.b64encode(picture()).decode()
MIXED = jsonl(*ROWS[:9]) + b"no\n" + jsonl(ROWS[3], *ROWS[9:])


class Watched(MemoryObjects):
    """Objects that say what was written, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []
        self.opened: list[str] = []

    def open_input(self, path: str) -> BinaryIO:
        self.opened.append(path)
        return super().open_input(path)

    def write(self, path: str, content: bytes) -> None:
        self.written.append(path)
        super().write(path, content)


def test_a_source_becomes_chunks_and_partitions() -> None:
    # Given 18 good rows, of 5 different texts, a bad one and one that comes twice
    settings = SETTINGS.model_copy(
        update={"allocator": AllocatorSettings(shards=3, partition_items_max=10)}
    )
    # When they are ingested four to a chunk and at most ten to a partition
    found = ingest(MIXED, settings=settings)
    # Then they lie in five chunks in input order
    ledger = found.stores.chunks.chunks(JOB)
    assert ledger == tuple(
        Chunk(
            job_id=JOB,
            number=number,
            first_position=number * 4,
            rows=min(4, 18 - number * 4),
            items_path=paths.items(JOB, number),
        )
        for number in range(5)
    )
    assert found.items == tuple(
        (position, row["id"], row["text"]) for position, row in enumerate(ROWS)
    )
    # And two partitions of nine items cover them, each with its shard
    assert found.stores.partitions.of_job(JOB) == plan_partitions(
        JOB, 18, shards=3, partition_items_max=9
    )
    # And the progress and the history say so
    progress = found.progress
    assert (progress.items, progress.rejected, progress.duplicates) == (18, 2, 13)
    assert progress.chunks == 5
    event = found.stores.events.read(JOB, 0, 100)[-1]
    assert (event.kind, event.message) == ("ingest.done", "18 items accepted, 2 rows rejected")
    assert event.figures["bytes"] == sum(len(row["text"]) for row in ROWS)
    assert {name: event.figures[name] for name in ("items", "rejected", "duplicates")} == {
        "items": 18,
        "rejected": 2,
        "duplicates": 13,
    }
    assert event.figures["seconds"] > 0


@pytest.mark.parametrize(("modality", "content"), [("text", "x"), ("image", PNG)])
def test_a_chunk_has_the_columns_that_others_read(modality: Modality, content: str) -> None:
    # Given a job of one item
    found = ingest(jsonl({"id": 1, modality: content}), modality=modality)
    # Then its chunk has the promised schema
    with found.stores.objects.open_input(paths.items(JOB, 0)) as stream:
        schema = pq.read_table(stream).schema
    assert schema == items_schema(modality)
    assert [(field.name, str(field.type)) for field in schema] == [
        ("position", "int64"),
        ("line", "int64"),
        ("item_id", "string"),
        ("content", "string" if modality == "text" else "binary"),
        ("content_hash", "fixed_size_binary[16]"),
    ]


def test_equal_contents_share_their_hash_and_others_do_not() -> None:
    found = ingest(jsonl(*ROWS[:6]))
    hashes: list[bytes] = []
    for chunk in found.stores.chunks.chunks(JOB):
        with found.stores.objects.open_input(chunk.items_path) as stream:
            hashes.extend(pq.read_table(stream)["content_hash"].to_pylist())
    assert hashes[0] == hashes[5]
    assert len(set(hashes)) == 5


def test_a_source_without_errors_has_an_empty_error_file() -> None:
    assert ingest(jsonl(*ROWS)).stores.objects.read(paths.errors(JOB)) == b""


def test_a_chunk_is_bounded_in_bytes_as_well() -> None:
    settings = Settings(ingest=IngestSettings(chunk_rows=100, chunk_bytes_max=13))
    found = ingest(jsonl(*ROWS), settings=settings)
    assert [chunk.rows for chunk in found.stores.chunks.chunks(JOB)] == [2] * 9


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("dies_at", range(5))
def test_a_run_that_is_killed_at_any_chunk_ends_like_one_that_is_not(
    dies_at: int, recorded: bool
) -> None:
    # Given what an undisturbed run leaves behind
    undisturbed = ingest(MIXED)
    # When a run dies at some chunk, before or after it was recorded, and is run again
    ledger = DyingChunks(dies_at, recorded=recorded)
    stores = stores_with(MIXED, chunks=ledger)
    desk = desk_of(stores, job(source()))
    with pytest.raises(Killed):
        IngestStage(stores, SETTINGS).run(desk)
    assert len(ledger.chunks(JOB)) == dies_at + recorded
    ledger.dies_at = None
    assert IngestStage(stores, SETTINGS).run(desk) is JobState.PRELABELLING
    # Then everything is the same to the byte
    assert_same(ingested(stores), undisturbed)


def test_running_again_after_the_end_changes_nothing() -> None:
    stores = stores_with(MIXED)
    desk = desk_of(stores, job(source()))
    IngestStage(stores, SETTINGS).run(desk)
    first = ingested(stores)
    before = first.objects()
    IngestStage(stores, SETTINGS).run(desk)
    assert ingested(stores).objects() == before
    assert_same(ingested(stores), first)


def test_what_is_recorded_is_neither_read_nor_written_again() -> None:
    # Given a run over 300 rows, the last of which has the first one's id, that died with 200 stored
    rows = [{"id": number % 299, "text": f"{number} {'x' * 1_000}"} for number in range(300)]
    content = jsonl(*rows)
    settings = Settings(ingest=IngestSettings(chunk_rows=100))
    objects, ledger = Watched(), DyingChunks(1, recorded=True)
    objects.write(paths.upload(TENANT, UPLOAD), content)
    stores = replace(memory_stores(objects), chunks=ledger)
    desk = desk_of(stores, job(source()))
    with pytest.raises(Killed):
        IngestStage(stores, settings).run(desk)
    # When most of these rows turn into noise, and it is run again
    noise = slice(2**16, content.index(b'"text": "200 ') - 100)
    assert noise.stop - noise.start > 100_000
    changed = bytearray(content)
    changed[noise] = b"?" * (noise.stop - noise.start)
    objects.write(paths.upload(TENANT, UPLOAD), bytes(changed))
    ledger.dies_at = None
    objects.written.clear()
    IngestStage(stores, settings).run(desk)
    # Then it has read none of them, has stored the third chunk alone, and knows the first row's id
    written = [path for path in objects.written if path.startswith(f"jobs/{JOB}/items")]
    assert written == [paths.items(JOB, 2)]
    found = ingested(stores)
    assert found.ids == [str(number) for number in range(299)]
    assert [(each["line"], each["detail"]) for each in found.errors] == [
        (300, "line 1 has the same 'id' already")
    ]


@pytest.mark.parametrize("changed", [jsonl(*ROWS[:6]), jsonl(*ROWS[:3])])
def test_a_source_that_changes_between_runs_is_told(changed: bytes) -> None:
    # Given a run that died after its second chunk of four rows
    ledger = DyingChunks(1, recorded=True)
    stores = stores_with(jsonl(*ROWS), chunks=ledger)
    desk = desk_of(stores, job(source()))
    with pytest.raises(Killed):
        IngestStage(stores, SETTINGS).run(desk)
    ledger.dies_at = None
    # When the source holds other rows the next time
    stores.objects.write(paths.upload(TENANT, UPLOAD), changed)
    with pytest.raises(UnreadableSource) as error:
        IngestStage(stores, SETTINGS).run(desk)
    # Then the job is not put together from both
    assert error.value.reason == "it has changed while it was read"


def test_cancelling_is_heard_between_chunks() -> None:
    stores = stores_with(jsonl(*ROWS))
    desk = desk_of(stores, job(source()))
    cancel(stores)
    with pytest.raises(JobCancelled):
        IngestStage(stores, SETTINGS).run(desk)
    assert stores.chunks.chunks(JOB) == ()


def test_cancelling_is_heard_where_no_row_is_accepted() -> None:
    stores = stores_with(b"no\n" * 10_000)
    desk = desk_of(stores, job(source()))
    cancel(stores)
    with pytest.raises(JobCancelled):
        IngestStage(stores, SETTINGS).run(desk)


def test_cancelling_is_heard_while_recorded_chunks_are_read_again() -> None:
    # Given a run that died when thirty chunks were recorded, and was cancelled then
    rows = [{"id": f"i{number}", "text": "a text"} for number in range(600)]
    objects, ledger = Watched(), DyingChunks(29, recorded=True)
    objects.write(paths.upload(TENANT, UPLOAD), jsonl(*rows))
    stores = replace(memory_stores(objects), chunks=ledger)
    desk = desk_of(stores, job(source()))
    with pytest.raises(Killed):
        IngestStage(stores, SETTINGS).run(desk)
    recorded = ledger.chunks(JOB)
    assert len(recorded) >= 30
    cancel(stores)
    # When it is run again
    objects.opened.clear()
    with pytest.raises(JobCancelled):
        IngestStage(stores, SETTINGS).run(desk)
    # Then it ends at the first of them, with some that were read ahead
    read = {path for path in objects.opened if path.startswith(f"jobs/{JOB}/items")}
    assert len(read) < 10


class Slow:
    """A recogniser that finds nothing in a hundredth of a second, during whose work the job is
    cancelled, or paused."""

    def __init__(self, stores: Stores, wish: Callable[[Job, float], Job]) -> None:
        self._stores, self._wish = stores, wish
        self._never = Event()
        self.texts = 0

    def find(self, text: str) -> Sequence[Finding]:
        self.texts += 1
        if text == "text 0":
            self._stores.jobs.save(self._wish(self._stores.jobs.load(JOB), 1.0))
        self._never.wait(0.01)
        return []


@pytest.mark.parametrize(("wish", "heard"), [(request_cancel, JobCancelled), (pause, JobPaused)])
def test_a_wish_is_heard_while_a_block_is_being_masked(
    wish: Callable[[Job, float], Job], heard: type[Exception]
) -> None:
    # Given a source of one block whose masking takes a minute
    rows = [{"id": f"i{number}", "text": f"text {number}"} for number in range(6_000)]
    stores = stores_with(jsonl(*rows))
    masking = job(source())
    masking = replace(masking, spec=replace(masking.spec, pii=PiiTerms(mask=("EMAIL_ADDRESS",))))
    slow = Slow(stores, wish)
    # When its owner wishes something else while it is masked
    with pytest.raises(heard):
        IngestStage(stores, SETTINGS, lambda *_: slow).run(desk_of(stores, masking))
    # Then it ends soon, with most of the block to do
    assert slow.texts < 3_000
    assert stores.chunks.chunks(JOB) == ()


def test_a_source_of_nothing_but_bad_rows_still_has_its_error_file() -> None:
    stores = stores_with(b"no\nno\n")
    with pytest.raises(EmptySource) as error:
        IngestStage(stores, SETTINGS).run(desk_of(stores, job(source())))
    assert error.value.rejected == 2
    found = ingested(stores)
    assert [row["line"] for row in found.errors] == [1, 2]
    assert (found.progress.items, found.progress.rejected) == (0, 2)
    assert stores.partitions.of_job(JOB) == ()


def test_a_long_run_reports_on_its_way() -> None:
    # Given a run that dies in the middle
    ledger = DyingChunks(3, recorded=True)
    stores = stores_with(MIXED, chunks=ledger)
    with pytest.raises(Killed):
        IngestStage(stores, SETTINGS).run(desk_of(stores, job(source())))
    # Then how far it came was reported before
    progress = stores.jobs.load(JOB).progress
    assert (progress.items, progress.chunks) == (12, 3)


@pytest.mark.parametrize("format", ["jsonl", "parquet", "csv"])
def test_a_run_reports_how_much_of_its_source_was_read(format: SourceFormat) -> None:  # noqa: A002
    # Given 4,000 rows of one size, in chunks of 500, and a run that dies at the fourth
    ids, texts = [f"{number:04d}" for number in range(4_000)], ["a text"] * 4_000
    content = {
        "jsonl": jsonl(*({"id": each, "text": "a text"} for each in ids)),
        "parquet": parquet({"id": ids, "text": texts}),
        "csv": b"id,text\n" + b"".join(f"{each},a text\n".encode() for each in ids),
    }[format]
    ledger = DyingChunks(3, recorded=True)
    stores = stores_with(content, chunks=ledger)
    desk = desk_of(stores, job(source(format)))
    settings = Settings(ingest=IngestSettings(chunk_rows=500))
    with pytest.raises(Killed):
        IngestStage(stores, settings).run(desk)
    # Then it has reported about that much; of CSV, whose rows are not placed, with what is ahead
    progress = stores.jobs.load(JOB).progress
    share = progress.items / 4_000
    assert progress.read_share is not None
    assert share - 0.01 <= progress.read_share <= (1.0 if format == "csv" else share + 0.01)
    # And all once it has ended
    ledger.dies_at = None
    IngestStage(stores, settings).run(desk)
    assert stores.jobs.load(JOB).progress.read_share == 1.0


def test_progress_does_not_fall_back_while_a_run_catches_up() -> None:
    # Given a run that died at its fourth chunk, after it had reported three
    ledger = DyingChunks(3, recorded=True)
    stores = stores_with(MIXED, chunks=ledger)
    desk = desk_of(stores, job(source()))
    with pytest.raises(Killed):
        IngestStage(stores, SETTINGS).run(desk)
    # When it is run again and dies at the next one
    ledger.dies_at = 4
    with pytest.raises(Killed):
        IngestStage(stores, SETTINGS).run(desk)
    # Then it still says three
    assert stores.jobs.load(JOB).progress.chunks == 3


def cancel(stores: Stores) -> None:
    stores.jobs.save(request_cancel(stores.jobs.load(JOB), 1.0))


def assert_same(found: Ingested, expected: Ingested) -> None:
    assert found.objects() == expected.objects()
    assert found.items == expected.items
    assert found.errors == expected.errors
    assert found.progress == expected.progress
    assert found.stores.chunks.chunks(JOB) == expected.stores.chunks.chunks(JOB)
    assert found.stores.partitions.of_job(JOB) == expected.stores.partitions.of_job(JOB)
