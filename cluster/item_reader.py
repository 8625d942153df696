"""Reads single items out of the chunks they are stored in."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.domain.ids import ItemId, JobId, Position
from cluster.domain.items import Chunk, Item
from cluster.errors import ObjectMissing
from cluster.ports import ChunkLedger, ObjectStore
from cluster.table_cache import TableCache

_CACHED_BYTES_MAX = 256 * 2**20
_CACHED_JOBS_MAX = 64
_KNOWN_CHUNKS_MAX = 1_024
"""Chunks of one job of which it is remembered where they lie."""


def read_items(
    objects: ObjectStore, chunk: Chunk, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return a chunk's items with the columns `Chunk` names, or some; raises ObjectMissing."""
    with objects.open_input(chunk.items_path) as stream:
        return pq.read_table(stream, columns=columns and list(columns))


class ItemReader:
    """Fetches items by position, keeping the chunks it used last; for many threads.

    The cache holds up to `cached_chunks_max` chunks and `cached_bytes_max` bytes of them.
    """

    def __init__(
        self,
        objects: ObjectStore,
        chunks: ChunkLedger,
        cached_chunks_max: int = 64,
        cached_bytes_max: int = _CACHED_BYTES_MAX,
    ) -> None:
        self._objects, self._ledger = objects, chunks
        self._tables = TableCache(cached_chunks_max, cached_bytes_max)
        self._lock = Lock()
        self._known: OrderedDict[JobId, tuple[Chunk, ...]] = OrderedDict()

    def fetch(self, job_id: JobId, positions: Sequence[Position]) -> tuple[Item, ...]:
        """Return a job's items in the order asked: images as bytes, texts as str.

        Raises ObjectMissing where the job has no such item, or its chunk is gone.
        """
        chunks = [self.chunk_of(job_id, position) for position in positions]
        paths = dict.fromkeys(chunk.items_path for chunk in chunks)
        tables = {path: self._tables.get(path, self._read) for path in paths}
        return tuple(
            _item_at(tables[chunk.items_path], position - chunk.first_position)
            for chunk, position in zip(chunks, positions, strict=True)
        )

    def chunk_of(self, job_id: JobId, position: Position) -> Chunk:
        """Return the chunk that holds an item; raises ObjectMissing where the job has none."""
        with self._lock:
            known = self._known.get(job_id, ())
        found = _holding(known, position)
        if found is not None:
            return found
        found = self._ledger.holding(job_id, position)
        if found is None:
            raise ObjectMissing(f"jobs/{job_id}/items, position {position},")
        self._remember(found)
        return found

    def _remember(self, chunk: Chunk) -> None:
        """Keep where a chunk lies, in the place of all others of its job where they are many."""
        with self._lock:
            known = self._known.pop(chunk.job_id, ())
            others = [each for each in known if each.number != chunk.number]
            kept = [*others, chunk] if len(others) < _KNOWN_CHUNKS_MAX else [chunk]
            self._known[chunk.job_id] = tuple(sorted(kept, key=lambda each: each.first_position))
            while len(self._known) > _CACHED_JOBS_MAX:
                self._known.popitem(last=False)

    def _read(self, items_path: str) -> pa.Table:
        with self._objects.open_input(items_path) as stream:
            return pq.read_table(stream)


def _holding(chunks: Sequence[Chunk], position: Position) -> Chunk | None:
    """Return which of some chunks holds a position; they lie in the order of their positions."""
    index = bisect_right(chunks, position, key=lambda chunk: chunk.first_position) - 1
    return chunks[index] if index >= 0 and position in chunks[index].positions else None


def _item_at(table: pa.Table, row: int) -> Item:
    return Item(
        position=table["position"][row].as_py(),
        item_id=ItemId(table["item_id"][row].as_py()),
        content=table["content"][row].as_py(),
    )
