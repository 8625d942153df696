"""Sorts the rows of a job into items to keep and rows to refuse, over the whole job."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from cluster.domain.items import RejectedRow
from ingest.dedupe import Seen
from ingest.ordered import map_in_order
from ingest.rejects import RejectLog
from ingest.rows import Candidate, Code, Layout, Problem, Row
from ingest.validate import HASH_BYTES, Validator

_IMAGE_THREADS = 4
_IMAGES_AHEAD = 8
"""Images are decoded and fetched on threads; this many may be held at once."""


class Intake:
    """Validates rows and refuses an id that an accepted row has already; counts as it goes.

    `duplicates` counts accepted items whose content an earlier one has as well, `content_bytes` is
    the size of all that was accepted.
    """

    def __init__(self, validator: Validator, rejects: RejectLog, layout: Layout) -> None:
        self._validator, self._rejects, self._layout = validator, rejects, layout
        self._ids, self._contents = Seen(), Seen()
        self.duplicates = self.content_bytes = 0

    @property
    def rejected(self) -> int:
        """The rows refused so far."""
        return self._rejects.rows

    def accept(self, rows: Iterable[Row | RejectedRow]) -> Iterator[Candidate]:
        """Yield the accepted rows in order; the others go to the error file."""
        for checked in self._validated(rows):
            kept = checked if isinstance(checked, RejectedRow) else self._unique(checked)
            if isinstance(kept, RejectedRow):
                self._rejects.add(kept)
            else:
                self._count(kept)
                yield kept

    def _validated(self, rows: Iterable[Row | RejectedRow]) -> Iterator[Candidate | RejectedRow]:
        if self._layout.modality == "text":
            return map(self._check, rows)
        return map_in_order(self._check, rows, _IMAGE_THREADS, _IMAGES_AHEAD)

    def _check(self, row: Row | RejectedRow) -> Candidate | RejectedRow:
        return row if isinstance(row, RejectedRow) else self._validator.check(row)

    def _unique(self, item: Candidate) -> Candidate | RejectedRow:
        digest = blake2b(item.item_id.encode(), digest_size=HASH_BYTES).digest()
        first = self._ids.first_line(digest, item.line)
        if first is None:
            return item
        field = self._layout.id_field
        detail = f"line {first} has the same {field!r} already"
        return Problem(field, Code.ID_DUPLICATE, detail).at(item.line, item.item_id)

    def _count(self, item: Candidate) -> None:
        self.content_bytes += item.size
        if self._contents.first_line(item.content_hash, item.line) is not None:
            self.duplicates += 1
