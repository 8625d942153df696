"""What earlier jobs of a line can still teach: their newest consensus, a bounded sample of it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from cluster.domain.ids import JobId
from cluster.domain.jobs import Job
from cluster.errors import JobNotFound, ObjectMissing
from cluster.ports import Stores
from training.consensus import Consensus
from training.replay import REPLAYED_ROWS_MAX, sampled

Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

JOBS_MAX = 20
"""The rows of so many of a line's newest other jobs are learnt from again."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Earlier:
    """Rows to learn from again: items of another job of the line, as it believed them in a round.

    `positions` (n,) rise; `targets` (n, K) and `weights` (n,) are those of `training.data`.
    """

    job: Job
    round: int
    positions: Positions
    targets: Floats
    weights: Floats


def earlier_rows(stores: Stores, job: Job, seed: int) -> tuple[Earlier, ...]:
    """Return what is learnt from again beside a job's own rows, those of its newest jobs first.

    All other jobs of the line that trained a version are asked, whether or not it went live: what
    their crowds said is as true. A job that has expired has nothing left.
    """
    found = list(islice(_consensuses(stores, job), JOBS_MAX))
    if not found:
        return ()
    targets = np.concatenate([consensus.train_targets for _, consensus in found])
    rows, weights = sampled(targets, REPLAYED_ROWS_MAX, seed)
    ends = np.cumsum([len(consensus.train_positions) for _, consensus in found])
    bounds = np.searchsorted(rows, ends)
    parts: list[Earlier] = []
    for (other, consensus), end, start, stop in zip(
        found, ends, (0, *bounds[:-1]), bounds, strict=True
    ):
        own = rows[start:stop] - (end - len(consensus.train_positions))
        parts.append(
            Earlier(
                job=other,
                round=other.progress.rounds,
                positions=consensus.train_positions[own],
                targets=consensus.train_targets[own],
                weights=weights[start:stop],
            )
        )
    return tuple(parts)


def _consensuses(stores: Stores, job: Job) -> Iterator[tuple[Job, Consensus]]:
    for job_id in _others(stores, job):
        with suppress(JobNotFound, ObjectMissing):
            other = stores.jobs.load(job_id)
            consensus = Consensus.read(stores.objects, job_id, other.progress.rounds)
            if consensus.classes == len(job.spec.label_set):
                yield other, consensus


def _others(stores: Stores, job: Job) -> tuple[JobId, ...]:
    """Return the other jobs that trained a version of the line, newest version first."""
    records = reversed(stores.models.versions(job.model_name))
    trained = (record.lineage.job_id for record in records if record.lineage is not None)
    return tuple(dict.fromkeys(each for each in trained if each != job.job_id))
