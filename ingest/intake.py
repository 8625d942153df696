"""Sorts the rows of a job into items to keep and rows to refuse, over the whole job."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cluster.domain.ids import ItemId
from cluster.domain.items import RejectedRow
from ingest.checked import Checked
from ingest.dedupe import Seen
from ingest.digests import Digests
from ingest.kept import kept_rows
from ingest.rows import Code, Integers, Layout, Problem


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Accepted:
    """Items and refused rows of a block, each in the order of the source.

    `items` has the columns of `Checked.items`, and `content_digests` goes with it; `repeats` tells
    which of the items have the content of an earlier one.
    """

    items: pa.Table
    content_digests: Digests
    repeats: npt.NDArray[np.bool_]
    refused: Sequence[RejectedRow]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What has to be known of accepted items to tell later ones from them."""

    lines: Integers
    id_digests: Digests
    content_digests: Digests


class Intake:
    """Refuses an id that an accepted row has already; blocks are to come in order."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._ids, self._contents = Seen(), Seen()

    def recall(self, known: Known) -> None:
        """Remember items that were accepted in an earlier run."""
        self._ids.first_lines(known.id_digests, known.lines)
        self._contents.first_lines(known.content_digests, known.lines)

    def accept(self, checked: Checked) -> Accepted:
        """Return what is kept of a block, and all that is refused."""
        lines = checked.items["line"].to_numpy()
        earlier = self._ids.first_lines(checked.id_digests, lines)
        new = earlier == 0
        items, contents, refused = checked.items, checked.content_digests, checked.refused
        if not new.all():
            refused = sorted(
                [*refused, *self._duplicates(items, earlier)], key=lambda row: row.line
            )
            items, contents, lines = kept_rows(items, new), contents[new], lines[new]
        repeats = self._contents.first_lines(contents, lines) != 0
        return Accepted(items=items, content_digests=contents, repeats=repeats, refused=refused)

    def _duplicates(self, items: pa.Table, earlier: Integers) -> list[RejectedRow]:
        field = self._layout.id_field
        places = np.flatnonzero(earlier)
        ids = items["item_id"].take(places).to_pylist()
        lines = items["line"].take(places).to_pylist()
        return [
            Problem(field, Code.ID_DUPLICATE, f"line {first} has the same {field!r} already").at(
                line, ItemId(item_id)
            )
            for line, item_id, first in zip(lines, ids, earlier[places].tolist(), strict=True)
        ]
