"""Reads runs of rows out of Parquet objects without reading what comes before them."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.domain.ids import JobId
from cluster.ports import ObjectStore, ResultLog
from serve_apps.gateway.schemas.results import ResultView

SEGMENTS_A_PAGE_MAX = 16
"""How many objects one page opens at most; a page over many small segments is short instead."""


def read_rows(
    objects: ObjectStore, path: str, first_row: int, rows: int, columns: list[str] | None = None
) -> Any:
    """Return up to `rows` rows of a Parquet object from `first_row` on, as an Arrow table.

    Row groups before and after them are not read. Raises ObjectMissing.
    """
    with objects.open_input(path) as stored:
        file = pq.ParquetFile(stored)
        groups, skip = _overlapping(file.metadata, first_row, rows)
        if not groups:
            return file.schema_arrow.empty_table()
        return file.read_row_groups(groups, columns=columns).slice(skip, rows)


def _overlapping(metadata: Any, first_row: int, rows: int) -> tuple[list[int], int]:
    """Return the row groups that hold the rows, and how far into the first one they begin."""
    groups: list[int] = []
    skip, start = 0, 0
    for number in range(metadata.num_row_groups):
        end = start + metadata.row_group(number).num_rows
        if start < first_row + rows and first_row < end:
            skip = skip if groups else first_row - start
            groups.append(number)
        start = end
    return groups, skip


def results_from(
    log: ResultLog, objects: ObjectStore, job_id: JobId, first_row: int, rows: int
) -> Iterator[ResultView]:
    """Yield up to `rows` final labels of a job from a row on, in delivery order."""
    for segment in log.segments(job_id, first_row, SEGMENTS_A_PAGE_MAX):
        skip = max(0, first_row - segment.first_row)
        table: pa.Table = read_rows(objects, segment.path, skip, rows)
        yield from (ResultView.model_validate(row) for row in table.to_pylist())
        rows -= table.num_rows
        if rows <= 0:
            return
