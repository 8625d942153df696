"""Leaves rows out of a table without copying the others, where they are few."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_RUNS_MAX = 64
"""With more gaps than this, one copy costs less than what is done for each run of rows."""


def kept_rows(table: pa.Table, keep: npt.NDArray[np.bool_]) -> pa.Table:
    """Return the rows to keep, in order: views of the table, or a copy where many are left out."""
    left_out = np.flatnonzero(~keep)
    if not len(left_out):
        return table
    if len(left_out) > _RUNS_MAX:
        return table.filter(keep)
    starts = [0, *(left_out + 1).tolist()]
    ends = [*left_out.tolist(), len(keep)]
    runs = (table.slice(start, end - start) for start, end in zip(starts, ends, strict=True))
    return pa.concat_tables([run for run in runs if run.num_rows] or [table.slice(0, 0)])
