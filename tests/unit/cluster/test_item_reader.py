"""`ItemReader`: items by position, in the order asked, from as few chunks as need be."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.domain.ids import JobId, Position
from cluster.domain.items import Chunk, Item
from cluster.errors import ObjectMissing
from cluster.item_reader import ItemReader, read_items
from cluster.stores.memory.ledger import MemoryChunks
from cluster.stores.objects import MemoryObjects
from tests.conformance import samples

ROWS = 10


class CountingObjects(MemoryObjects):
    """Counts how often each object is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: Counter[str] = Counter()

    def open_input(self, path: str) -> BinaryIO:
        self.opened[path] += 1
        return super().open_input(path)


class Job:
    """A job of chunks of ten items, as ingest leaves it."""

    def __init__(self, chunks: int, kind: pa.DataType | None = None) -> None:
        self.objects, self.ledger = CountingObjects(), MemoryChunks()
        self.kind = kind or pa.string()
        for number in range(chunks):
            self.add(number)

    def add(self, number: int) -> None:
        chunk = samples.chunk(number, rows=ROWS)
        positions = range(chunk.first_position, chunk.first_position + ROWS)
        table = pa.table(
            {
                "position": pa.array(positions, pa.int64()),
                "item_id": [samples.item_id(position) for position in positions],
                "content": pa.array([f"text {position}" for position in positions]).cast(self.kind),
                "content_hash": pa.array([bytes(16)] * ROWS, pa.binary(16)),
            }
        )
        with self.objects.open_output(chunk.items_path) as stream:
            pq.write_table(table, stream)
        self.ledger.add([chunk])


def expected(positions: Sequence[int]) -> tuple[Item, ...]:
    return tuple(Item(n, samples.item_id(n), f"text {n}") for n in positions)


SIX_CHUNKS = Job(6)


@settings(max_examples=40)
@given(positions=st.lists(st.integers(0, 59), max_size=30), cached=st.integers(1, 4))
def test_items_come_in_the_order_asked_whatever_is_cached(
    positions: list[int], cached: int
) -> None:
    reader = ItemReader(SIX_CHUNKS.objects, SIX_CHUNKS.ledger, cached_chunks_max=cached)

    assert reader.fetch(samples.JOB, positions) == expected(positions)
    assert reader.fetch(samples.JOB, positions[::-1]) == expected(positions[::-1])


def test_images_come_as_bytes() -> None:
    job = Job(1, pa.binary())

    (item,) = ItemReader(job.objects, job.ledger).fetch(samples.JOB, [3])

    assert item.content == b"text 3"


def test_a_chunk_is_read_once_while_it_is_cached() -> None:
    job = Job(3)
    reader = ItemReader(job.objects, job.ledger, cached_chunks_max=2)

    for positions in ([0, 15, 1], [16, 2], [0, 15]):
        reader.fetch(samples.JOB, positions)
    assert set(job.objects.opened.values()) == {1}

    # The chunk used longest ago makes room
    reader.fetch(samples.JOB, [0, 29])
    reader.fetch(samples.JOB, [0])
    reader.fetch(samples.JOB, [15])
    assert job.objects.opened == {
        samples.chunk(0).items_path: 1,
        samples.chunk(1).items_path: 2,
        samples.chunk(2).items_path: 1,
    }


def test_a_chunk_larger_than_the_whole_cache_is_read_but_not_kept() -> None:
    job = Job(1)
    reader = ItemReader(job.objects, job.ledger, cached_bytes_max=10)

    assert reader.fetch(samples.JOB, [1]) == reader.fetch(samples.JOB, [1])

    assert job.objects.opened == {samples.chunk(0).items_path: 2}


class CountingChunks(MemoryChunks):
    """Counts look-ups, and has no list of all chunks to give."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_up = 0

    def chunks(self, job_id: JobId) -> tuple[Chunk, ...]:
        raise AssertionError(f"all chunks of {job_id}")

    def holding(self, job_id: JobId, position: Position) -> Chunk | None:
        self.looked_up += 1
        return super().holding(job_id, position)


def test_of_a_large_job_only_the_chunks_asked_for_are_looked_up_once_each() -> None:
    job, ledger = Job(6), CountingChunks()
    ledger.add(job.ledger.chunks(samples.JOB))
    reader = ItemReader(job.objects, ledger)

    for _ in range(2):
        assert reader.fetch(samples.JOB, [51, 3, 55, 4]) == expected([51, 3, 55, 4])

    assert ledger.looked_up == 2


def test_chunks_added_later_are_found() -> None:
    job = Job(1)
    reader = ItemReader(job.objects, job.ledger)
    reader.fetch(samples.JOB, [0])

    job.add(1)

    assert reader.fetch(samples.JOB, [12]) == expected([12])


@pytest.mark.parametrize(("job_id", "position"), [("job-0001", 10), ("job-0001", -1), ("no", 0)])
def test_an_item_the_job_does_not_have_is_missing(job_id: str, position: int) -> None:
    job = Job(1)

    with pytest.raises(ObjectMissing, match=f"position {position}"):
        ItemReader(job.objects, job.ledger).fetch(JobId(job_id), [position])


def test_a_chunk_whose_object_is_gone_is_missing() -> None:
    job = Job(1)
    job.objects.delete(samples.chunk(0).items_path)

    with pytest.raises(ObjectMissing, match="000000"):
        ItemReader(job.objects, job.ledger).fetch(samples.JOB, [0])


def test_many_threads_may_fetch_at_once() -> None:
    job = Job(6)
    reader = ItemReader(job.objects, job.ledger, cached_chunks_max=2)
    asked = [[(7 * n + k) % 60 for k in range(5)] for n in range(60)]

    with ThreadPoolExecutor(8) as threads:
        fetched = list(threads.map(lambda positions: reader.fetch(samples.JOB, positions), asked))

    assert fetched == [expected(positions) for positions in asked]


def test_a_whole_chunk_is_a_table() -> None:
    table = read_items(Job(2).objects, samples.chunk(1))

    assert table.column_names == ["position", "item_id", "content", "content_hash"]
    assert table["position"].to_pylist() == list(range(10, 20))
