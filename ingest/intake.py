"""Sorts the rows of a job into items to keep and rows to refuse, over the whole job."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from cluster.domain.items import RejectedRow
from ingest.dedupe import Seen
from ingest.rejects import RejectLog
from ingest.rows import Candidate, Code, Problem, Row
from ingest.validate import HASH_BYTES, Validator


class Intake:
    """Validates rows and refuses an id that an accepted row has already; counts as it goes.

    `duplicates` counts accepted items whose content an earlier one has as well.
    """

    def __init__(self, validator: Validator, rejects: RejectLog, id_field: str) -> None:
        self._validator, self._rejects, self._id_field = validator, rejects, id_field
        self._ids, self._contents = Seen(), Seen()
        self.duplicates = self.content_bytes = 0

    def accept(self, rows: Iterable[Row | RejectedRow]) -> Iterator[Candidate]:
        """Yield the accepted rows in order; the others go to the error file."""
        for row in rows:
            checked = row if isinstance(row, RejectedRow) else self._check(row)
            if isinstance(checked, RejectedRow):
                self._rejects.add(checked)
            else:
                self._count(checked)
                yield checked

    def _check(self, row: Row) -> Candidate | RejectedRow:
        candidate = self._validator.check(row)
        if isinstance(candidate, RejectedRow):
            return candidate
        digest = blake2b(candidate.item_id.encode(), digest_size=HASH_BYTES).digest()
        first = self._ids.first_line(digest, candidate.line)
        if first is None:
            return candidate
        detail = f"line {first} has the same {self._id_field!r} already"
        return Problem(self._id_field, Code.ID_DUPLICATE, detail).at(row.line, candidate.item_id)

    def _count(self, item: Candidate) -> None:
        self.content_bytes += item.size
        if self._contents.first_line(item.content_hash, item.line) is not None:
            self.duplicates += 1
