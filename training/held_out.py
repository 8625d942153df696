"""Contents that no model of a line may learn from: whatever any of its jobs audits, for ever.

Each job's list is stored beside its line's versions before its first training, and outlives the
job: another job may be given the same content, and ask its crowd about it.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import ModelName
from cluster.domain.items import Chunk
from cluster.domain.jobs import Job
from cluster.ports import ObjectStore, Stores

Positions = npt.NDArray[np.int64]

HASH_BYTES = 16


def keep_out(stores: Stores, job: Job, audit: Positions) -> frozenset[bytes]:
    """Note a job's audit items, by rising position; return the hashes of all that the line audits.

    Raises ObjectMissing where the job's items are.
    """
    hashes = sorted(_hashes(stores, job, audit))
    with stores.objects.open_output(paths.held_out(job.model_name, job.job_id)) as stream:
        pq.write_table(pa.table({"content_hash": pa.array(hashes, pa.binary(HASH_BYTES))}), stream)
    return held_out(stores.objects, job.model_name)


def held_out(objects: ObjectStore, name: ModelName) -> frozenset[bytes]:
    """Return the hashes of all contents that jobs of a line have noted."""
    found: set[bytes] = set()
    for path in objects.list(paths.held_out_of(name)):
        with objects.open_input(path) as stream:
            found.update(pq.read_table(stream)["content_hash"].to_pylist())
    return frozenset(found)


def content_hashes(objects: ObjectStore, chunk: Chunk) -> list[bytes]:
    """Return the hash of each content of a chunk; raises ObjectMissing."""
    with objects.open_input(chunk.items_path) as stream:
        hashes: list[bytes] = pq.read_table(stream, columns=["content_hash"])[
            "content_hash"
        ].to_pylist()
    return hashes


def _hashes(stores: Stores, job: Job, audit: Positions) -> Iterator[bytes]:
    for chunk in stores.chunks.chunks(job.job_id):
        ends = (chunk.first_position, chunk.first_position + chunk.rows)
        start, stop = np.searchsorted(audit, ends)
        if start < stop:
            hashes = content_hashes(stores.objects, chunk)
            yield from (hashes[row] for row in audit[start:stop] - chunk.first_position)
