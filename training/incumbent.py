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
    """The model a job has been pre-labelled by, and its probabilities (n, K) of some items.

    `sureness` (items,) is its highest probability of each item of the job.
    """

    version: int
    probabilities: Floats
    sureness: Floats


def incumbent_on(stores: Stores, job_id: JobId, positions: Positions, classes: int) -> Incumbent:
    """Return the newest predictions of a job for rising positions (n,).

    The version is the one that was chosen first of all that any chunk has. Raises ObjectMissing
    where a chunk has none.
    """
    predictions = {each.number: each for each in stores.chunks.predictions(job_id)}
    parts, sureness = [np.empty((0, classes), np.float32)], [np.empty(0, np.float32)]
    for chunk in stores.chunks.chunks(job_id):
        if chunk.number not in predictions:
            raise ObjectMissing(paths.predictions(job_id, ZERO_SHOT, chunk.number))
        said = read_probabilities(stores.objects, predictions[chunk.number].predictions_path)
        sureness.append(said.max(axis=1))
        ends = (chunk.first_position, chunk.first_position + chunk.rows)
        start, stop = np.searchsorted(positions, ends)
        parts.append(said[positions[start:stop] - chunk.first_position])
    first = min(predictions.values(), key=lambda prediction: prediction.line_revision)
    return Incumbent(
        version=first.model_version,
        probabilities=np.concatenate(parts),
        sureness=np.concatenate(sureness),
    )


def read_probabilities(objects: ObjectStore, path: str) -> Floats:
    """Return what a version said of a chunk's items, (rows, K); raises ObjectMissing."""
    with objects.open_input(path) as stream:
        return matrix_of(pq.read_table(stream, columns=["probabilities"])["probabilities"])
