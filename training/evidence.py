"""What the audit answers of running jobs say of two versions of their line."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.jobs import Job
from cluster.domain.models import Lineage
from cluster.errors import ObjectMissing, TrainingFailed
from cluster.ports import ObjectStore, Stores
from training.consensus import audit_weights
from training.incumbent import read_probabilities
from training.regression import Regression, judge
from training.snapshot import find_snapshot, read_audit
from training.tables import matrix_of

Floats = npt.NDArray[np.float64]
Probabilities = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Judged:
    """Audited items of one job on which both versions have spoken, and what they said."""

    posterior: Probabilities
    before: Probabilities
    after: Probabilities
    weights: Floats


def regression(
    stores: Stores,
    jobs: Iterable[Job],
    before: int,
    after: int,
    lineage: Lineage | None,
    confidence: float,
) -> Regression:
    """Compare a version with the one before it on what was audited since its own gate.

    `jobs` are of one line; one whose files are missing or corrupt says nothing. Of each its newest
    consensus counts, without the items that the gate of the version itself (`lineage`) has looked
    at, on chunks that both versions have pre-labelled.
    """
    judged = [
        found for job in jobs if (found := _judged(stores, job, before, after, lineage)) is not None
    ]
    if not judged:
        return Regression(is_worse=False, p_value=1.0, score=0.0, before_score=0.0, n=0)
    return judge(
        np.concatenate([each.before for each in judged]),
        np.concatenate([each.after for each in judged]),
        np.concatenate([each.posterior for each in judged]),
        confidence,
        weights=np.concatenate([each.weights for each in judged]),
    )


def _judged(
    stores: Stores, job: Job, before: int, after: int, lineage: Lineage | None
) -> _Judged | None:
    try:
        positions, posterior = _audited(stores.objects, job.job_id, job.progress.rounds)
        fresh = ~np.isin(positions, _known_to_gate(stores.objects, job.job_id, lineage))
    except (ObjectMissing, TrainingFailed):
        return None
    said_before = _predicted(stores, job, before, positions)
    said_after = _predicted(stores, job, after, positions)
    told = np.isfinite(said_before).all(axis=1) & np.isfinite(said_after).all(axis=1)
    rows = np.flatnonzero(fresh & told)
    return _Judged(
        posterior=posterior[rows],
        before=said_before[rows],
        after=said_after[rows],
        weights=_weights(stores.objects, job.job_id, positions)[rows],
    )


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
    snapshot = find_snapshot(objects, job_id, lineage.round)
    return np.empty(0, np.int64) if snapshot is None else read_audit(objects, snapshot).positions


def _predicted(stores: Stores, job: Job, version: int, positions: Positions) -> Probabilities:
    """Return what a version said of rising positions, (n, K); NaN where it was not asked."""
    said = np.full((len(positions), len(job.spec.label_set)), np.nan, np.float32)
    for chunk in stores.chunks.chunks(job.job_id):
        ends = (chunk.first_position, chunk.first_position + chunk.rows)
        start, stop = np.searchsorted(positions, ends)
        if start < stop:
            path = paths.predictions(job.job_id, version, chunk.number)
            with suppress(ObjectMissing):
                rows = positions[start:stop] - chunk.first_position
                said[start:stop] = read_probabilities(stores.objects, path)[rows]
    return said


def _weights(objects: ObjectStore, job_id: JobId, positions: Positions) -> Floats:
    """Return how much each audited item counts, (n,), in (0, 1]: less where likelier audited."""
    chances = audit_weights(objects, job_id, positions)
    return np.ones(len(positions)) if chances is None else chances.min(initial=np.inf) / chances
