"""Which items of a job are audited, as a stored object: drawn and written once, then only read.

The draw may favour labels that the first predictions doubt, and those are replaced by the
predictions of later models; so it could not be drawn again. Columns, one row for each position:
`weight double`, `turn int32`, the item's place in audit order or -1, and `more int32`, its place
among the next ones or -1.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from allocation.quality.votes import Floats
from allocation.sampling import AuditPlan, Positions, doubting_plan, uniform_plan
from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.jobs import Job
from cluster.domain.models import ZERO_SHOT
from cluster.errors import ObjectMissing
from cluster.ports import ObjectStore, Stores

Turns = npt.NDArray[np.int32]


def kept_plan(stores: Stores, job: Job, predictions: tuple[int, Floats] | None) -> AuditPlan:
    """Return a job's audit plan, the same ever after.

    The first call draws it and stores it: by the doubts of a trained model, uniformly where there
    is none or where answers came before any plan was stored.
    """
    try:
        return _read(stores.objects, job.job_id)
    except ObjectMissing:
        plan = _drawn(stores, job, predictions)
    _write(stores.objects, job.job_id, plan)
    return plan


def _drawn(stores: Stores, job: Job, predictions: tuple[int, Floats] | None) -> AuditPlan:
    spec, items = job.spec, job.progress.items
    asked = len(stores.answers.read(job.job_id, after_seq=0, limit=1)) > 0
    if predictions is None or predictions[0] == ZERO_SHOT or asked:
        return uniform_plan(items, spec.crowd, spec.seed)
    believed = predictions[1].max(axis=1, initial=0.0)
    return doubting_plan(believed, spec.goal.accuracy, spec.crowd, spec.seed)


def _read(objects: ObjectStore, job_id: JobId) -> AuditPlan:
    with objects.open_input(paths.audit_plan(job_id)) as stream:
        table = pq.read_table(stream)
    more = table["more"].to_numpy() if "more" in table.column_names else np.empty(0, dtype=np.int32)
    return AuditPlan(
        order=_in_turn(table["turn"].to_numpy()),
        more=_in_turn(more),
        weights=table["weight"].to_numpy().astype(np.float64),
    )


def _in_turn(turn: Turns) -> Positions:
    """Return the positions that have a turn, in its order."""
    found = np.flatnonzero(turn >= 0)
    return found[turn[found].argsort()].astype(np.int64)


def _turns(positions: Positions, items: int) -> Turns:
    turn = np.full(items, -1, dtype=np.int32)
    turn[positions] = np.arange(len(positions), dtype=np.int32)
    return turn


def _write(objects: ObjectStore, job_id: JobId, plan: AuditPlan) -> None:
    items = len(plan.weights)
    columns = {
        "weight": plan.weights,
        "turn": _turns(plan.order, items),
        "more": _turns(plan.more, items),
    }
    with objects.open_output(paths.audit_plan(job_id)) as stream:
        pq.write_table(pa.table(columns), stream)
