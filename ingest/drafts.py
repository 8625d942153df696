"""Turns accepted items into chunks to be written, each with the bookmark that stands after it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cluster.domain.items import RejectedRow
from ingest.bookmark import Bookmark
from ingest.digests import DIGEST_BYTES, Digests
from ingest.intake import Accepted
from ingest.plan import ChunkPlan
from ingest.rejects import ErrorPart, RejectLog
from ingest.rows import Integers, Place


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draft:
    """A chunk that is not written yet: its items, with the columns `line, item_id, content,
    content_hash`, of masked ones `originals` too, and where the ingest stands before and after
    it. `errors` are the refused rows before its end that are not stored yet; `after` counts them.
    """

    items: pa.Table
    before: Bookmark
    after: Bookmark
    errors: ErrorPart | None = None

    @property
    def content_bytes(self) -> int:
        """The size of its contents."""
        return self.after.content_bytes - self.before.content_bytes


class Drafts:
    """Cuts what is accepted into drafts, and keeps the count of everything as it goes."""

    def __init__(self, plan: ChunkPlan, rejects: RejectLog, bookmark: Bookmark) -> None:
        self._plan, self._rejects = plan, rejects
        self._last = bookmark
        self._pending: list[pa.Table] = []
        self._duplicates, self._content_bytes = bookmark.duplicates, bookmark.content_bytes

    @property
    def standing(self) -> Bookmark:
        """The bookmark after the newest draft."""
        return self._last

    def add(self, accepted: Accepted) -> Iterator[Draft]:
        """Take more items and yield the drafts that are whole with them."""
        items, refused = accepted.items, list(accepted.refused)
        lines, starts = items["line"].to_numpy(), items["start"].to_numpy()
        columns = _to_be_written(items, accepted.content_digests)
        sizes = pc.binary_length(items["content"]).to_numpy().astype(np.int64)
        taken = 0
        for end in self._plan.ends(sizes):
            self._keep(columns, sizes, accepted.repeats, slice(taken, end))
            taken = end
            refused = self._refuse(refused, int(lines[end]))
            yield self._draft(Place(int(lines[end]), int(starts[end])))
        self._keep(columns, sizes, accepted.repeats, slice(taken, len(sizes)))
        self._refuse(refused, None)

    def end(self) -> Iterator[Draft]:
        """Yield what is left, when there are no more items."""
        if self._pending:
            yield self._draft(self._last.source.end)

    def _keep(
        self, columns: pa.Table, sizes: Integers, repeats: npt.NDArray[np.bool_], some: slice
    ) -> None:
        if some.start < some.stop:
            self._pending.append(columns.slice(some.start, some.stop - some.start))
            self._content_bytes += int(sizes[some].sum())
            self._duplicates += int(repeats[some].sum())

    def _refuse(self, refused: list[RejectedRow], before: int | None) -> list[RejectedRow]:
        """Write down the rows before a line, or all, and return the others."""
        count = 0
        for row in refused:
            if before is not None and row.line >= before:
                break
            self._rejects.add(row)
            count += 1
        return refused[count:]

    def _draft(self, place: Place) -> Draft:
        errors = self._rejects.take_part()
        items, before = pa.concat_tables(self._pending), self._last
        self._pending = []
        self._last = replace(
            before,
            place=place,
            chunks=before.chunks + 1,
            items=before.items + items.num_rows,
            rejected=self._rejects.rows,
            duplicates=self._duplicates,
            content_bytes=self._content_bytes,
            error_parts=self._rejects.parts,
        )
        return Draft(items=items, before=before, after=self._last, errors=errors)


def _to_be_written(items: pa.Table, content_digests: Digests) -> pa.Table:
    kind = pa.binary(DIGEST_BYTES)
    hashes = pa.FixedSizeBinaryArray.from_buffers(
        kind, len(content_digests), [None, pa.py_buffer(np.ascontiguousarray(content_digests))]
    )
    return items.drop_columns(["start"]).append_column("content_hash", hashes)
