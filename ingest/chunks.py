"""Chunks of items as Parquet objects, each with the bookmark that stands after it."""

import json
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId, Position
from cluster.domain.items import Chunk, Modality
from cluster.domain.masking import Originals
from cluster.errors import UnreadableSource
from cluster.ports import ObjectStore
from ingest.bookmark import Bookmark
from ingest.digests import DIGEST_BYTES, digests_of
from ingest.drafts import Draft
from ingest.intake import Known

_BOOKMARK = b"muster.bookmark"


def items_schema(modality: Modality) -> pa.Schema:
    """Return the columns of a chunk's object, as `cluster.domain.items.Chunk` promises them."""
    content = pa.binary() if modality == "image" else pa.string()
    return pa.schema(
        [
            pa.field("position", pa.int64(), nullable=False),
            pa.field("line", pa.int64(), nullable=False),
            pa.field("item_id", pa.string(), nullable=False),
            pa.field("content", content, nullable=False),
            pa.field("content_hash", pa.binary(DIGEST_BYTES), nullable=False),
        ]
    )


def write_chunk(objects: ObjectStore, job_id: JobId, draft: Draft, modality: Modality) -> Chunk:
    """Write a chunk and return the ledger's entry; the same draft always makes the same bytes.

    Text is packed; images are packed already.
    """
    chunk = Chunk(
        job_id=job_id,
        number=draft.before.chunks,
        first_position=draft.before.items,
        rows=draft.items.num_rows,
        items_path=paths.items(job_id, draft.before.chunks),
    )
    positions = np.arange(draft.before.items, draft.after.items)
    schema = items_schema(modality).with_metadata({_BOOKMARK: draft.after.to_json()})
    columns = draft.items.add_column(0, "position", pa.array(positions))
    with objects.open_output(chunk.items_path) as stream:
        pq.write_table(
            columns.select(schema.names).cast(schema),
            stream,
            compression="none" if modality == "image" else "zstd",
            use_dictionary=False,
            write_statistics=False,
            column_encoding={"position": "DELTA_BINARY_PACKED", "line": "DELTA_BINARY_PACKED"},
        )
    return chunk


def originals_of(draft: Draft) -> Mapping[Position, Originals]:
    """Return what was masked in a draft, by the positions its items will have."""
    first = draft.before.items
    return {
        Position(first + row): json.loads(found)
        for row, found in enumerate(draft.items["originals"].to_pylist())
        if found is not None
    }


def read_bookmark(objects: ObjectStore, chunk: Chunk, uri: str) -> Bookmark:
    """Return the bookmark of a recorded chunk; raises ObjectMissing, and UnreadableSource where the
    chunk is from before there were bookmarks."""
    with objects.open_input(chunk.items_path) as stream:
        metadata = pq.read_schema(stream).metadata or {}
    if _BOOKMARK not in metadata:
        raise UnreadableSource(uri, "its ingest was begun by an earlier version")
    return Bookmark.from_json(metadata[_BOOKMARK])


def recall(objects: ObjectStore, chunk: Chunk) -> Known:
    """Return what tells the items of a recorded chunk from later ones; raises ObjectMissing."""
    with objects.open_input(chunk.items_path) as stream:
        table = pq.read_table(stream, columns=["line", "item_id", "content_hash"])
    hashes = b"".join(table["content_hash"].to_pylist())
    return Known(
        lines=table["line"].to_numpy(),
        id_digests=digests_of(table["item_id"]),
        content_digests=np.frombuffer(hashes, np.uint64).reshape(-1, 2),
    )
