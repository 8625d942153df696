"""Chunks of items as Parquet objects."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.items import Chunk, Modality
from cluster.ports import ObjectStore
from ingest.rows import Candidate
from ingest.validate import HASH_BYTES


def chunk_of(job_id: JobId, number: int, first_position: int, rows: int) -> Chunk:
    """Return the ledger's entry for a chunk."""
    return Chunk(
        job_id=job_id,
        number=number,
        first_position=first_position,
        rows=rows,
        items_path=paths.items(job_id, number),
    )


def items_schema(modality: Modality) -> pa.Schema:
    """Return the columns of a chunk's object, as `cluster.domain.items.Chunk` promises them."""
    content = pa.string() if modality == "text" else pa.binary()
    return pa.schema(
        [
            pa.field("position", pa.int64(), nullable=False),
            pa.field("item_id", pa.string(), nullable=False),
            pa.field("content", content, nullable=False),
            pa.field("content_hash", pa.binary(HASH_BYTES), nullable=False),
        ]
    )


def write_chunk(
    objects: ObjectStore, chunk: Chunk, items: Sequence[Candidate], modality: Modality
) -> None:
    """Write a chunk's items; the same items always make the same bytes.

    Text is packed; images are packed already.
    """
    end = chunk.first_position + chunk.rows
    table = pa.Table.from_arrays(
        [
            pa.array(range(chunk.first_position, end), pa.int64()),
            pa.array([item.item_id for item in items], pa.string()),
            pa.array([item.content for item in items]),
            pa.array([item.content_hash for item in items], pa.binary(HASH_BYTES)),
        ],
        schema=items_schema(modality),
    )
    packing = "zstd" if modality == "text" else "none"
    with objects.open_output(chunk.items_path) as stream:
        pq.write_table(
            table, stream, compression=packing, use_dictionary=False, write_statistics=False
        )
