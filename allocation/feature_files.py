"""The directions of a job's items in the frozen encoder's space, read back from replicas' files."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from allocation.quality.directions import SAMPLE_ROWS, Axes, Features, leading, placed
from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.items import Chunk
from cluster.errors import ObjectMissing
from cluster.ports import ObjectStore, Stores

BASIS_CHUNKS = 16
"""So many chunks at most, spread evenly over all, tell which directions matter."""


def read_directions(
    stores: Stores, job_id: JobId, base_model: str, items: int
) -> npt.NDArray[np.float16]:
    """Return the items' features in few dimensions, (items, d).

    A chunk is read at a time. A row is zeros where an item has no features, and where a chunk has
    none or others than it should; d is 0 where no chunk has any.
    """
    chunks = stores.chunks.chunks(job_id)
    files = [(chunk, paths.features(job_id, base_model, chunk.number)) for chunk in chunks]
    axes = _axes(stores.objects, files)
    if axes is None:
        return np.empty((items, 0), dtype=np.float16)
    directions = np.zeros((items, axes.shape[1]), dtype=np.float16)
    for chunk, path in files:
        features = _features(stores.objects, chunk, path)
        if features is not None and features.shape[1] == len(axes):
            first = chunk.first_position
            directions[first : first + chunk.rows] = placed(features, axes)
    return directions


def _axes(objects: ObjectStore, files: Sequence[tuple[Chunk, str]]) -> Axes | None:
    """Return the directions that matter, by a sample of some chunks; only their samples are kept
    in memory."""
    some = files[:: max(1, -(-len(files) // BASIS_CHUNKS))]
    every = max(1, -(-sum(chunk.rows for chunk, _ in some) // SAMPLE_ROWS))
    samples = (_sample(_features(objects, chunk, path), every) for chunk, path in some)
    known = [features for features in samples if features is not None]
    alike = [features for features in known if features.shape[1] == known[0].shape[1]]
    return leading(np.concatenate(alike)) if alike else None


def _sample(features: Features | None, every: int) -> Features | None:
    return None if features is None else features[::every].copy()


def _features(objects: ObjectStore, chunk: Chunk, path: str) -> Features | None:
    """Return a chunk's features (rows, D); None where it has none, or they do not fit it."""
    try:
        with objects.open_input(path) as stream:
            table = pq.read_table(stream, columns=["position", "features"])
    except ObjectMissing:
        return None
    expected = np.arange(chunk.first_position, chunk.first_position + chunk.rows)
    if not np.array_equal(table["position"].to_numpy(), expected):
        return None
    flat = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    features: Features = np.nan_to_num(flat.astype(np.float32))
    return features.reshape(chunk.rows, -1)
