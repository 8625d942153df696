"""Training snapshots of rows that no job has asked for."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.fitting.images import Images
from cluster import paths
from cluster.domain.ids import JobId
from cluster.ports import ObjectStore
from training.building import SHARD_ROWS_MAX, SHARDS_WANTED
from training.snapshot import Snapshot, SnapshotFile, digest_of, store_manifest
from training.tables import lists_of

AUDIT_ROWS = 16


def store_snapshot(objects: ObjectStore, images: Images, folds: int) -> Snapshot:
    """Store images as the snapshot of a job's first round; a few of them are its audit rows too."""
    job_id, number = JobId("benchmark"), 1
    folder, rows = paths.snapshot(job_id, number), len(images)
    common = {
        "position": pa.array(range(rows), pa.int64()),
        "features": lists_of(images.pixels, pa.float16()),
        "fold": pa.array(np.random.default_rng(0).integers(0, folds, rows), pa.int16()),
    }
    learnt = {"target": lists_of(images.targets, pa.float32()), "weight": _ones(rows)}
    audited = {"audit_posterior": lists_of(images.targets, pa.float32())}
    shard_rows = min(SHARD_ROWS_MAX, max(1, rows // SHARDS_WANTED))
    snapshot = Snapshot(
        job_id=job_id,
        round=number,
        base_model="resnet",
        labels=tuple(str(label) for label in range(images.targets.shape[1])),
        features=images.pixels.shape[1],
        folds=folds,
        train=_store(objects, folder, "train", pa.table({**common, **learnt}), shard_rows),
        audit=_store(
            objects, folder, "audit", pa.table({**common, **audited}).slice(0, AUDIT_ROWS), rows
        ),
    ).sealed()
    store_manifest(objects, snapshot)
    return snapshot


def _ones(rows: int) -> pa.Array:
    ones: npt.NDArray[np.float32] = np.ones(rows, np.float32)
    return pa.array(ones)


def _store(
    objects: ObjectStore, folder: str, name: str, table: pa.Table, shard_rows: int
) -> SnapshotFile:
    path = f"{folder}/{name}.parquet"
    with objects.open_output(path) as stream:
        pq.write_table(table, stream, row_group_size=shard_rows, write_page_checksum=True)
    return SnapshotFile(
        name=f"{name}.parquet",
        rows=len(table),
        shards=-(-len(table) // shard_rows),
        sha256=digest_of(objects, path),
    )
