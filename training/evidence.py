"""What the audit answers of a running job say of two versions of its line."""

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.jobs import Job
from cluster.domain.models import Lineage, ModelRecord
from cluster.errors import ObjectMissing, TrainingFailed
from cluster.ports import ObjectStore, Stores
from training.consensus import audit_weights
from training.readings import Readings
from training.regression import Tally
from training.snapshot import audited_positions
from training.tables import matrix_of

Floats = npt.NDArray[np.float64]
Probabilities = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]


def tally_of(
    stores: Stores, readings: Readings, job: Job, before: ModelRecord, after: ModelRecord
) -> Tally:
    """Compare a version with the one before it on what a job audited since the version's gate.

    The job's newest consensus counts, without the items that the gate of the version itself has
    looked at, on items that both have pre-labelled or can be asked about (`training.readings`). A
    job whose files are missing or corrupt says nothing.
    """
    objects, job_id = stores.objects, job.job_id
    try:
        positions, posterior = _audited(objects, job_id, job.progress.rounds)
        fresh = ~np.isin(positions, _known_to_gate(objects, job_id, after.lineage))
    except (ObjectMissing, TrainingFailed):
        return Tally()
    said_before = readings.of(job, before.spec, positions)
    said_after = readings.of(job, after.spec, positions)
    told = np.isfinite(said_before).all(axis=1) & np.isfinite(said_after).all(axis=1)
    rows = np.flatnonzero(fresh & told)
    weights = _weights(objects, job_id, positions)[rows]
    return Tally.of(said_before[rows], said_after[rows], posterior[rows], weights)


def _audited(
    objects: ObjectStore, job_id: JobId, round_number: int
) -> tuple[Positions, Probabilities]:
    """Return the audited items of a round by rising position, and what their answers say."""
    columns = ["position", "audit_posterior", "audit", "audited"]
    with objects.open_input(paths.consensus(job_id, round_number)) as stream:
        table = pq.read_table(stream, columns=columns).sort_by("position")
    rows = np.flatnonzero(table["audit"].to_numpy() & table["audited"].to_numpy())
    return table["position"].to_numpy()[rows], matrix_of(table["audit_posterior"].take(rows))


def _known_to_gate(objects: ObjectStore, job_id: JobId, lineage: Lineage | None) -> Positions:
    """Return the items of a job that a version was promoted for."""
    if lineage is None or lineage.job_id != job_id:
        return np.empty(0, np.int64)
    return audited_positions(objects, job_id, lineage.round)


def _weights(objects: ObjectStore, job_id: JobId, positions: Positions) -> Floats:
    """Return how much each audited item counts, (n,), in (0, 1]: less where likelier audited."""
    chances = audit_weights(objects, job_id, positions)
    return np.ones(len(positions)) if chances is None else chances.min(initial=np.inf) / chances
