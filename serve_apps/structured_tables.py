"""Tables of answers that are numbers, comparisons or texts, and of which kind a table is.

They are read as `serve_apps.answer_tables` reads classes: one row an answer, under usual column
names or names given, from CSV, JSON Lines or Parquet.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from allocation.quality.numeric import Numbers
from allocation.quality.pairs import Pairs
from allocation.quality.votes import Codes, Floats
from cluster.errors import InvalidField
from serve_apps.answer_tables import (
    ITEM_NAMES,
    LABEL_NAMES,
    TRUTH_NAMES,
    WORKER_NAMES,
    ColumnNames,
)
from serve_apps.region_tables import shape_of
from serve_apps.table_files import (
    PLAIN_NUMBER,
    encoded,
    file_of,
    finite_numbers,
    holds_text,
    named,
    read_table,
)

NUMBER_NAMES = (*LABEL_NAMES, "value", "number", "score", "rating")
NUMBER_TRUTH_NAMES = (*TRUTH_NAMES, "value", "number", "score", "rating")
LEFT_NAMES, RIGHT_NAMES = ("left", "left_id"), ("right", "right_id")
WINNER_NAMES = ("winner", *LABEL_NAMES)
TEXT_NAMES = ("text", "transcription", *LABEL_NAMES)
TEXT_TRUTH_NAMES = ("text", "transcription", *TRUTH_NAMES)

_FRACTION = re.compile(r"\s*[+-]?(\d+\.\d*|\.\d+|\d+[eE][+-]?\d+|\d+\.\d*[eE][+-]?\d+)\s*")


class Kind(StrEnum):
    """What the answers of a table are."""

    CLASSES = "classes"
    NUMBERS = "numbers"
    TEXTS = "texts"
    PAIRS = "pairs"
    SPANS = "spans"
    BOXES = "boxes"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NumberTable:
    """Numbers, and what their codes stand for; items and workers are numbered as they appear."""

    numbers: Numbers
    item_ids: tuple[str, ...]
    worker_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NumberTruth:
    """Reference values (n_items,) of answered items, NaN where there is none; `rows` counts all."""

    values: Floats
    rows: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PairTable:
    """Comparisons, and what their codes stand for."""

    pairs: Pairs
    item_ids: tuple[str, ...]
    worker_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TextTable:
    """Texts in order of their rows: `texts[j]` is what `workers[j]` wrote for `items[j]`."""

    items: Codes
    workers: Codes
    texts: tuple[str, ...]
    item_ids: tuple[str, ...]
    worker_ids: tuple[str, ...]


def kind_of(path: Path, names: ColumnNames | None = None) -> Kind:
    """Return what a table holds, as its columns say.

    Pairs have columns left and right; boxes x, y, width and height; spans start and end, which are
    numbers and not times; numbers a column of type float, or in CSV numbers throughout of which one
    has a fraction; texts a column named text or transcription and none named as labels are. All
    else are classes, whole numbers too. Raises like reading does.
    """
    names = names or ColumnNames()
    source = file_of(path, "answers")
    table = read_table(source)
    columns = {column.strip().lower() for column in table.column_names}
    if columns & set(LEFT_NAMES) and columns & set(RIGHT_NAMES):
        return Kind.PAIRS
    if (shape := shape_of(table)) is not None:
        return Kind(shape.name)
    if names.label is None and not columns & set(NUMBER_NAMES) and columns & set(TEXT_NAMES):
        return Kind.TEXTS
    values = table[named(table, names.label, NUMBER_NAMES, source)]
    if pa.types.is_floating(values.type) or (holds_text(values.type) and _are_fractions(values)):
        return Kind.NUMBERS
    return Kind.CLASSES


def _are_fractions(texts: pa.ChunkedArray) -> bool:
    """Return whether all are numbers, and one at least has a fraction."""
    plain = pc.all(pc.match_substring_regex(texts, PLAIN_NUMBER)).as_py()
    return plain and any(map(_FRACTION.fullmatch, pc.unique(texts).to_pylist()))


def read_numbers(path: Path, names: ColumnNames | None = None) -> NumberTable:
    """Read a table of numbers. Raises a leaf of BadInput that names file, column and row."""
    names = names or ColumnNames()
    source = file_of(path, "answers")
    table = read_table(source)
    items = encoded(table, names.item, ITEM_NAMES, source)
    workers = encoded(table, names.worker, WORKER_NAMES, source)
    return NumberTable(
        numbers=Numbers.of(
            items.indices.to_numpy(),
            workers.indices.to_numpy(),
            _values(table, names.label, NUMBER_NAMES, source),
            n_items=len(items.dictionary),
            n_workers=len(workers.dictionary),
        ),
        item_ids=tuple(items.dictionary.to_pylist()),
        worker_ids=tuple(workers.dictionary.to_pylist()),
    )


def read_number_truth(path: Path, answers: NumberTable) -> NumberTruth:
    """Read reference values; where an item has several, the last counts. Raises like answers."""
    known = read_item_values(path)
    return NumberTruth(
        values=np.array([known.get(item, np.nan) for item in answers.item_ids], dtype=np.float64),
        rows=len(known),
    )


def read_item_values(path: Path) -> dict[str, float]:
    """Read a number for each item; where an item has several, the last counts."""
    source = file_of(path, "truth")
    table = read_table(source)
    items = _texts(encoded(table, None, ITEM_NAMES, source))
    values = _values(table, None, NUMBER_TRUTH_NAMES, source)
    return dict(zip(items, values.tolist(), strict=True))


def read_pairs(path: Path, names: ColumnNames | None = None) -> PairTable:
    """Read a table of comparisons: left, right, worker, and the winner, which is one of the two.

    Raises a leaf of BadInput that names file, column and row.
    """
    names = names or ColumnNames()
    source = file_of(path, "answers")
    table = read_table(source)
    left = _texts(encoded(table, None, LEFT_NAMES, source))
    right = _texts(encoded(table, None, RIGHT_NAMES, source))
    winner = _texts(encoded(table, names.label, WINNER_NAMES, source))
    workers = encoded(table, names.worker, WORKER_NAMES, source)
    for row, (one, other, won) in enumerate(zip(left, right, winner, strict=True), start=1):
        if one == other:
            raise InvalidField("right", f"row {row} of {source} compares {one!r} with itself")
        if won not in (one, other):
            column = named(table, names.label, WINNER_NAMES, source)
            raise InvalidField(
                column, f"row {row} of {source} is {won!r}, neither {one!r} nor {other!r}"
            )
    item_ids = tuple(dict.fromkeys([*left, *right]))
    code = {item: at for at, item in enumerate(item_ids)}
    losers = [
        other if won == one else one for one, other, won in zip(left, right, winner, strict=True)
    ]
    return PairTable(
        pairs=Pairs.of(
            [code[item] for item in winner],
            [code[item] for item in losers],
            workers.indices.to_numpy(),
            n_items=len(item_ids),
            n_workers=len(workers.dictionary),
        ),
        item_ids=item_ids,
        worker_ids=tuple(workers.dictionary.to_pylist()),
    )


def read_texts(path: Path, names: ColumnNames | None = None) -> TextTable:
    """Read a table of texts. Raises a leaf of BadInput that names file, column and row."""
    names = names or ColumnNames()
    source = file_of(path, "answers")
    table = read_table(source)
    items = encoded(table, names.item, ITEM_NAMES, source)
    workers = encoded(table, names.worker, WORKER_NAMES, source)
    return TextTable(
        items=np.asarray(items.indices.to_numpy(), dtype=np.int64),
        workers=np.asarray(workers.indices.to_numpy(), dtype=np.int64),
        texts=tuple(_texts(encoded(table, names.label, TEXT_NAMES, source))),
        item_ids=tuple(items.dictionary.to_pylist()),
        worker_ids=tuple(workers.dictionary.to_pylist()),
    )


def read_text_truth(path: Path) -> dict[str, str]:
    """Read the reference text of each item; where an item has several, the last counts."""
    source = file_of(path, "truth")
    table = read_table(source)
    items = _texts(encoded(table, None, ITEM_NAMES, source))
    return dict(zip(items, _texts(encoded(table, None, TEXT_TRUTH_NAMES, source)), strict=True))


def _texts(column: pa.DictionaryArray) -> list[str]:
    texts: list[str] = column.dictionary_decode().to_pylist()
    return texts


def _values(table: pa.Table, name: str | None, usual: tuple[str, ...], source: Path) -> Floats:
    column = named(table, name, usual, source)
    return finite_numbers(table[column], column, source)
