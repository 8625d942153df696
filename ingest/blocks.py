"""What readers hand on: runs of rows, in columns wherever the format allows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from cluster.domain.items import RejectedRow
from ingest.rows import Integers, Row

_ROWS_MAX = 1_024
_CONTENT_BYTES_MAX = 4 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """Rows by column, not yet checked: where each stands, its id and its text, or two texts.

    `starts` says at which of the source's bytes each row begins, 0 where nobody knows. `ids` are
    text or integers; text may be of any type that holds bytes, and not UTF-8. `row` returns the
    n-th as a strict reader of single rows has it.
    """

    lines: Integers
    starts: Integers
    ids: pa.Array
    texts: pa.Array
    row: Callable[[int], Row | RejectedRow]
    seconds: pa.Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """A run of rows: those in `columns`, each in order, and others by themselves, in order too.

    `starts` belongs to `rows`.
    """

    columns: Sequence[Columns] = ()
    rows: Sequence[Row | RejectedRow] = ()
    starts: Sequence[int] = ()


UnreadBlock = Callable[[], Block]
"""A block whose bytes are there and whose reading is left to whoever calls, on any thread."""


def blocks_of(
    rows: Iterable[Row | RejectedRow], from_line: int, rows_max: int = _ROWS_MAX
) -> Iterator[UnreadBlock]:
    """Yield rows from a line on as blocks of at most `rows_max` rows and some 4 MiB of content."""
    run: list[Row | RejectedRow] = []
    size = 0
    for row in rows:
        if row.line < from_line:
            continue
        run.append(row)
        contents = (row.content, row.second) if isinstance(row, Row) else ()
        size += sum(len(content) for content in contents if isinstance(content, str | bytes))
        if len(run) == rows_max or size >= _CONTENT_BYTES_MAX:
            yield partial(Block, rows=run, starts=[0] * len(run))
            run, size = [], 0
    if run:
        yield partial(Block, rows=run, starts=[0] * len(run))
