"""The error file of a job: one JSON object for each row that was refused."""

import json
from typing import BinaryIO

from cluster.domain.items import RejectedRow
from ingest.rows import Code


class RejectLog:
    """Writes refused rows as JSON Lines, of the first `rows_max` each one.

    A line has the keys line, field, code, detail and id. If there were more rows, a last line with
    the code `more-rejected` says how many.
    """

    def __init__(self, stream: BinaryIO, rows_max: int) -> None:
        self._stream, self._rows_max = stream, rows_max
        self.rows = 0

    def add(self, row: RejectedRow) -> None:
        """Count a row, and write it down while there is room."""
        self.rows += 1
        if self.rows <= self._rows_max:
            self._write(row.line, row.field, row.code, row.detail, row.item_id)

    def end(self) -> None:
        """Say how many rows were not written down."""
        more = self.rows - self._rows_max
        if more > 0:
            self._write(None, None, Code.MORE_REJECTED, f"{more:,} more rows were rejected", None)

    def _write(
        self, line: int | None, field: str | None, code: str, detail: str, item_id: str | None
    ) -> None:
        entry = {"line": line, "field": field, "code": code, "detail": detail, "id": item_id}
        self._stream.write(json.dumps(entry).encode() + b"\n")
