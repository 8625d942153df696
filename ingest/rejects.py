"""The error file of a job: one JSON object for each row that was refused."""

import json
import shutil
from dataclasses import dataclass

from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.items import RejectedRow
from cluster.ports import ObjectStore
from ingest.bookmark import Bookmark
from ingest.rows import Code

_PART_BYTES_MAX = 2**20


@dataclass(frozen=True, slots=True)
class ErrorPart:
    """Some lines of the error file, and the object that is to hold them."""

    path: str
    lines: bytes


class RejectLog:
    """Writes refused rows as JSON Lines, of the first `rows_max` each one.

    A line has the keys line, field, code, detail and id. If there were more rows, a last line with
    the code `more-rejected` says how many. The lines are stored in parts while the ingest goes on,
    so that a later run need not find them again; `end` makes one file of the parts.
    """

    def __init__(
        self, objects: ObjectStore, job_id: JobId, rows_max: int, bookmark: Bookmark
    ) -> None:
        self._objects, self._job_id, self._rows_max = objects, job_id, rows_max
        self._pending = bytearray()
        self.rows, self.parts = bookmark.rejected, bookmark.error_parts

    def add(self, row: RejectedRow) -> None:
        """Count a row, and write it down while there is room."""
        self.rows += 1
        if self.rows <= self._rows_max:
            self._pending += _line(row.line, row.field, row.code, row.detail, row.item_id)
        if len(self._pending) >= _PART_BYTES_MAX:
            self.end_part()

    def take_part(self) -> ErrorPart | None:
        """Return what was added since the last part; it is to be stored by whoever takes it.

        `parts` counts it already, so that nothing of that count may be recorded before it is.
        """
        if not self._pending:
            return None
        part = ErrorPart(paths.error_part(self._job_id, self.parts), bytes(self._pending))
        self._pending.clear()
        self.parts += 1
        return part

    def end_part(self) -> None:
        """Store what was added, so that `parts` counts it."""
        part = self.take_part()
        if part is not None:
            self._objects.write(part.path, part.lines)

    def end(self) -> None:
        """Store the error file, in which a last line says how many rows were not written down."""
        self.end_part()
        more = self.rows - self._rows_max
        with self._objects.open_output(paths.errors(self._job_id)) as file:
            for part in range(self.parts):
                with self._objects.open_input(paths.error_part(self._job_id, part)) as lines:
                    shutil.copyfileobj(lines, file)
            if more > 0:
                detail = f"{more:,} more rows were rejected"
                file.write(_line(None, None, Code.MORE_REJECTED, detail, None))


def _line(
    line: int | None, field: str | None, code: str, detail: str, item_id: str | None
) -> bytes:
    entry = {"line": line, "field": field, "code": code, "detail": detail, "id": item_id}
    return json.dumps(entry).encode() + b"\n"
