"""Delivered labels as they are stored: an append-only run of immutable segments."""

from dataclasses import dataclass

from cluster.domain.ids import JobId

PAGED_GROUP_ROWS = 8_192
"""Rows of a row group of a file that is paged: a page decodes one or two, however long the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultSegment:
    """A run of final labels in one Parquet object, in which no item comes twice.

    Columns: `position int64, item_id string, label string, probability float, decided_by string,
    answers int32, model_version int32, audited bool, revision int32, difficulty string,
    model_failed bool`. Of an item, `revision` counts from 0 without gaps: a higher one comes later
    and corrects the label. An item that `model_failed` could be labelled neither by the model nor
    by anybody else: its label means nothing. `number` counts from 0 without gaps and `first_row` is
    the number of rows in all earlier segments, so a cursor is a row number. Objects of older
    releases have no `revision`, which means 0, no `difficulty`, which means null, and no
    `model_failed`, which means false.
    """

    job_id: JobId
    number: int
    first_row: int
    rows: int
    path: str
