"""Whether the rows of a block make items, told of whole columns where that can be told.

What is certain of a column is decided at once. Any row that is not certainly sound goes to
`ingest.validate`, which alone says what is wrong; so both ways refuse the same rows in the same
words, and a test holds them together on what they accept.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from cluster.domain.ids import ItemId
from cluster.domain.items import Modality, RejectedRow
from cluster.domain.pairs import SEPARATOR
from ingest.blocks import Block, Columns
from ingest.digests import Digests, digests_of
from ingest.kept import kept_rows
from ingest.masking import ContentMask
from ingest.rows import Candidate, Problem, Row
from ingest.validate import ID_CHARS_MAX, Validator

Judged = tuple[Candidate | RejectedRow, int]
"""A row's verdict, and where it begins."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checked:
    """A block's rows as sound items and refused rows, both in the order of the source.

    `items` has the columns `line, start, item_id, content`, and where contents are masked
    `originals`: what the placeholders stand for, as JSON, null where there are none. The digests go
    with it; those of masked contents are of what is left.
    """

    items: pa.Table
    id_digests: Digests
    content_digests: Digests
    refused: Sequence[RejectedRow]


class BlockCheck:
    """Checks the blocks of one job; may be called on many threads."""

    def __init__(
        self,
        validator: Validator,
        modality: Modality,
        text_bytes_max: int,
        mask: ContentMask | None = None,
    ) -> None:
        self._validator, self._text_bytes_max, self._mask = validator, text_bytes_max, mask
        self._schema = pa.schema(
            [
                ("line", pa.int64()),
                ("start", pa.int64()),
                ("item_id", pa.string()),
                ("content", pa.binary() if modality == "image" else pa.string()),
            ]
        )

    def check(self, block: Block) -> Checked:
        """Return what is accepted and what is refused, so far as a row can be judged by itself."""
        tables, judged = list[pa.Table](), list[Judged]()
        for columns in block.columns:
            table, doubtful = self._certain(columns)
            tables.append(table)
            starts = columns.starts[doubtful].tolist()
            judged += self._judged([columns.row(int(index)) for index in doubtful], starts)
        judged += self._judged(block.rows, block.starts)
        tables.append(self._table(judged))
        items = _in_order(tables)
        refused = [verdict for verdict, _ in judged if isinstance(verdict, RejectedRow)]
        if self._mask is not None:
            items, unmasked = _masked(items, self._mask)
            refused += unmasked
        return Checked(
            items=items,
            id_digests=digests_of(items["item_id"]),
            content_digests=digests_of(items["content"]),
            refused=sorted(refused, key=lambda row: row.line),
        )

    def _certain(self, columns: Columns) -> tuple[pa.Table, npt.NDArray[np.intp]]:
        """Return the rows that are certainly sound, and the places of all others."""
        try:
            ids, texts = _as_text(columns.ids), _as_text(columns.texts)
            seconds = None if columns.seconds is None else _as_text(columns.seconds)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return self._schema.empty_table(), np.arange(len(columns.lines))
        sound = _within(ids, ID_CHARS_MAX) & self._sound(texts)
        if seconds is not None:
            sound &= self._sound(seconds) & _undivided(texts) & _undivided(seconds)
            texts = pc.binary_join_element_wise(texts, seconds, SEPARATOR)
        table = pa.Table.from_arrays(
            [pa.array(columns.lines), pa.array(columns.starts), ids, texts], schema=self._schema
        )
        return kept_rows(table, sound), np.flatnonzero(~sound)

    def _sound(self, texts: pa.Array) -> npt.NDArray[np.bool_]:
        return _within(texts, self._text_bytes_max) & _filled(texts)

    def _judged(self, rows: Sequence[Row | RejectedRow], starts: Sequence[int]) -> list[Judged]:
        check = self._validator.check
        verdicts = (row if isinstance(row, RejectedRow) else check(row) for row in rows)
        return list(zip(verdicts, starts, strict=True))

    def _table(self, judged: Sequence[Judged]) -> pa.Table:
        rows = [(each, start) for each, start in judged if isinstance(each, Candidate)]
        columns = [
            [each.line for each, _ in rows],
            [start for _, start in rows],
            [each.item_id for each, _ in rows],
            [each.content for each, _ in rows],
        ]
        arrays = [
            pa.array(column, kind) for column, kind in zip(columns, self._schema.types, strict=True)
        ]
        return pa.Table.from_arrays(arrays, schema=self._schema)


def _masked(items: pa.Table, mask: ContentMask) -> tuple[pa.Table, list[RejectedRow]]:
    """Return the items that could be masked, so, and a refusal of each other one."""
    contents, originals = list[str | None](), list[str | None]()
    refused = list[RejectedRow]()
    for row, content in enumerate(items["content"].to_pylist()):
        verdict = mask.apply(content)
        if isinstance(verdict, Problem):
            line, item_id = items["line"][row].as_py(), ItemId(items["item_id"][row].as_py())
            refused.append(verdict.at(line, item_id))
            contents.append(None)
            originals.append(None)
        else:
            contents.append(verdict.text)
            originals.append(json.dumps(dict(verdict.originals)) if verdict.originals else None)
    masked = pa.array(contents, pa.string())
    table = items.set_column(items.schema.get_field_index("content"), "content", masked)
    table = table.append_column("originals", pa.array(originals, pa.string()))
    return table.filter(masked.is_valid()).combine_chunks(), refused


def _as_text(column: pa.Array) -> pa.Array:
    """Return ids or texts as strings; raises ArrowInvalid where some bytes are not UTF-8."""
    if pat.is_null(column.type):
        return column.cast(pa.string())
    if pat.is_integer(column.type) or not pat.is_string(column.type):
        column = column.cast(pa.string())
    column.validate(full=True)
    return column


def _within(column: pa.Array, bytes_max: int) -> npt.NDArray[np.bool_]:
    """Tell which values are there, and neither empty nor over a limit in bytes."""
    sizes = pc.binary_length(column)
    within = pc.and_(pc.greater(sizes, 0), pc.less_equal(sizes, bytes_max))
    return np.asarray(within.fill_null(False).to_numpy(zero_copy_only=False))  # noqa: FBT003


def _filled(texts: pa.Array) -> npt.NDArray[np.bool_]:
    """Tell which texts hold more than white space, which is to Arrow what it is to Python."""
    blank = pc.utf8_is_space(texts).fill_null(True)  # noqa: FBT003
    return np.asarray(pc.invert(blank).to_numpy(zero_copy_only=False))


def _undivided(texts: pa.Array) -> npt.NDArray[np.bool_]:
    """Tell which texts can be one of a pair."""
    divided = pc.match_substring(texts, SEPARATOR).fill_null(True)  # noqa: FBT003
    return np.asarray(pc.invert(divided).to_numpy(zero_copy_only=False))


def _in_order(tables: Sequence[pa.Table]) -> pa.Table:
    filled = [table for table in tables if table.num_rows] or tables[:1]
    if len(filled) == 1:
        return filled[0]
    return pa.concat_tables(filled).sort_by("line").combine_chunks()
