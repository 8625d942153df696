"""What the job's present model said of some items, as the pre-label replicas stored it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.models import ZERO_SHOT
from cluster.errors import ObjectMissing
from cluster.ports import ObjectStore, Stores
from training.tables import matrix_of

Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Incumbent:
    """The model a job has been pre-labelled by, and its probabilities (n, K) of the items."""

    version: int
    probabilities: Floats


def incumbent_on(stores: Stores, job_id: JobId, positions: Positions, classes: int) -> Incumbent:
    """Return the newest predictions of a job for rising positions (n,).

    The version is the oldest that any chunk has. Raises ObjectMissing where a chunk has none.
    """
    predictions = {each.number: each for each in stores.chunks.predictions(job_id)}
    parts = [np.empty((0, classes), np.float32)]
    versions = []
    for chunk in stores.chunks.chunks(job_id):
        if chunk.number not in predictions:
            raise ObjectMissing(paths.predictions(job_id, ZERO_SHOT, chunk.number))
        versions.append(predictions[chunk.number].model_version)
        ends = (chunk.first_position, chunk.first_position + chunk.rows)
        start, stop = np.searchsorted(positions, ends)
        if start < stop:
            rows = positions[start:stop] - chunk.first_position
            parts.append(_read(stores.objects, predictions[chunk.number].predictions_path)[rows])
    return Incumbent(version=min(versions), probabilities=np.concatenate(parts))


def _read(objects: ObjectStore, path: str) -> Floats:
    with objects.open_input(path) as stream:
        return matrix_of(pq.read_table(stream, columns=["probabilities"])["probabilities"])
