"""The consensus of a round as a stored object, for training and for clients who look in.

Columns: `position int64; posterior, target, audit_posterior fixed_size_list<float>[K]; answers
int32; audit, audited, trainable bool`, as `allocation.conclusions.Consensus` describes them.
"""

from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from allocation.conclusions import Consensus
from allocation.quality.votes import Floats
from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.results import PAGED_GROUP_ROWS
from cluster.ports import ObjectStore

ROUNDS_KEPT = 12
"""So many rounds are kept, the newest: a minute's, or as long as twelve take to be written.

Trainings and gates read the newest one; a client who reads page by page stays with the round that
was the newest when it began.
"""


def write_consensus(
    objects: ObjectStore, job_id: JobId, round_number: int, consensus: Consensus
) -> None:
    """Store a round's consensus, replacing one of the same number."""
    table = pa.table(
        {
            "position": np.arange(len(consensus.posterior), dtype=np.int64),
            "posterior": _rows(consensus.posterior),
            "target": _rows(consensus.target),
            "audit_posterior": _rows(consensus.audit_posterior),
            "answers": consensus.answers,
            "audit": consensus.audit,
            "audited": consensus.audited,
            "trainable": consensus.trainable,
        }
    )
    with objects.open_output(paths.consensus(job_id, round_number)) as stream:
        pq.write_table(table, stream, row_group_size=PAGED_GROUP_ROWS)


def forget_rounds(objects: ObjectStore, job_id: JobId, newest: int) -> None:
    """Delete the rounds that are not among the last `ROUNDS_KEPT` up to the newest one."""
    folder = str(PurePosixPath(paths.consensus(job_id, newest)).parent)
    for path in tuple(objects.list(folder)):
        if int(PurePosixPath(path).stem) <= newest - ROUNDS_KEPT:
            objects.delete(path)


def _rows(matrix: Floats) -> pa.FixedSizeListArray:
    flat = pa.array(np.ascontiguousarray(matrix, dtype=np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1])
