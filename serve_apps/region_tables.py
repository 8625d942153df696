"""Tables of answers that are spans of texts or boxes in images, one or more a row of an answer.

A row is one span (start, end) or box (x, y, width, height), perhaps with a label. All rows of a
worker on an item are that worker's answer; a row in which they are blank says: nothing there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from allocation.quality.votes import Codes, Floats
from cluster.domain.labels import LABELS_MAX
from cluster.errors import InvalidField, MissingColumn, TooLarge
from serve_apps.answer_tables import ITEM_NAMES, WORKER_NAMES, ColumnNames
from serve_apps.regions import Corners
from serve_apps.table_files import (
    PLAIN_NUMBER,
    blank,
    encoded,
    file_of,
    finite_numbers,
    holds_text,
    named,
    read_table,
)

START_NAMES, END_NAMES = ("start", "start_offset"), ("end", "end_offset")
BOX_NAMES = (("x",), ("y",), ("width", "w"), ("height", "h"))
REGION_LABEL_NAMES = ("label", "class")
REGIONS_MAX = 1_000
"""How many spans or boxes an item may have, those of all workers together."""
CHARACTERS_MAX = 10_000_000
PIXELS_MAX = 1_000_000
UNITS_PER_PIXEL = 10**9
"""Boxes are kept to nine decimals, as whole numbers, so that equal edges are equal."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RegionTable:
    """Regions in order of their rows, and what the codes stand for.

    `corners[j]` is what `workers[j]` marked as `labels[j]` on `items[j]`; a label of -1 says that
    nothing is there. Without a column of labels the one label is "". Corners are in characters, or
    in billionths of a pixel. A table of references has one worker, "".
    """

    items: Codes
    workers: Codes
    labels: Codes
    corners: Corners
    item_ids: tuple[str, ...]
    worker_ids: tuple[str, ...]
    label_names: tuple[str, ...]

    @property
    def labelled(self) -> bool:
        """Whether the table has a column of labels."""
        return self.label_names != ("",)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Field:
    """A column where it is not blank: `values[j]` stands in row `rows[j]`."""

    name: str
    source: Path
    rows: Codes
    values: Floats

    def refuse(self, wrong: npt.NDArray[np.bool_], why: str) -> None:
        """Raise InvalidField for the first row that is wrong, if any."""
        if wrong.any():
            at = int(wrong.argmax())
            said = f"row {self.rows[at]} of {self.source} is {self.values[at]:.15g}, {why}"
            raise InvalidField(self.name, said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One kind of region: what many are called, its columns, and the corners of its rows and back.

    A mask has up to `cells_max` cells an axis for what regions cover there (`regions.Axis`).
    """

    name: str
    columns: tuple[tuple[str, ...], ...]
    cells_max: int
    corners: Callable[[tuple[Field, ...]], Corners]
    fields: Callable[[Corners], Mapping[str, npt.NDArray[np.number]]]


def read_regions(path: Path, shape: Shape, names: ColumnNames | None = None) -> RegionTable:
    """Read a table of spans or boxes. Raises a leaf of BadInput that names file, column and row."""
    names = names or ColumnNames()
    source = file_of(path, "answers")
    table = read_table(source)
    workers = encoded(table, names.worker, WORKER_NAMES, source)
    return _read(table, source, shape, names, workers)


def read_region_truth(path: Path, shape: Shape) -> RegionTable:
    """Read reference spans or boxes: all rows of an item count. Raises like answers."""
    source = file_of(path, "truth")
    table = read_table(source)
    nobody = pa.array([""] * table.num_rows).dictionary_encode()
    return _read(table, source, shape, ColumnNames(), nobody)


def _read(
    table: pa.Table, source: Path, shape: Shape, names: ColumnNames, workers: pa.DictionaryArray
) -> RegionTable:
    items = encoded(table, names.item, ITEM_NAMES, source)
    item_codes = np.asarray(items.indices.to_numpy(), dtype=np.int64)
    columns = [named(table, None, usual, source) for usual in shape.columns]
    marked = ~np.logical_and.reduce([blank(table[column]) for column in columns])
    fields = tuple(_field(table, column, marked, source) for column in columns)
    corners = np.zeros((table.num_rows, 4), dtype=np.int64)
    corners[marked] = shape.corners(fields)
    _check_count(item_codes, marked, shape, source)
    labels, label_names = _labels(table, names.label, marked, source)
    return RegionTable(
        items=item_codes,
        workers=np.asarray(workers.indices.to_numpy(), dtype=np.int64),
        labels=labels,
        corners=corners,
        item_ids=tuple(items.dictionary.to_pylist()),
        worker_ids=tuple(workers.dictionary.to_pylist()),
        label_names=label_names,
    )


def _field(table: pa.Table, column: str, marked: npt.NDArray[np.bool_], source: Path) -> Field:
    values = finite_numbers(_filled(table[column], marked, "0"), column, source)
    return Field(name=column, source=source, rows=np.flatnonzero(marked) + 1, values=values[marked])


def _filled(
    column: pa.ChunkedArray, marked: npt.NDArray[np.bool_], stand_in: str
) -> pa.ChunkedArray:
    """Return a column with something in the rows in which nothing is marked."""
    if pa.types.is_null(column.type):
        column = column.cast(pa.string())
    try:
        filler = pa.scalar(stand_in).cast(column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return column  # neither text nor numbers: who reads it on says so
    return pc.if_else(pa.array(marked), column, filler)


def _check_count(items: Codes, marked: npt.NDArray[np.bool_], shape: Shape, source: Path) -> None:
    rows = np.flatnonzero(marked)
    crowded = np.flatnonzero(np.bincount(items[rows]) > REGIONS_MAX) if len(rows) else rows
    if len(crowded):
        row = min(int(rows[items[rows] == item][REGIONS_MAX]) for item in crowded) + 1
        what = f"the item of row {row} of {source}"
        raise TooLarge(what, REGIONS_MAX + 1, REGIONS_MAX, shape.name)


def _labels(
    table: pa.Table, name: str | None, marked: npt.NDArray[np.bool_], source: Path
) -> tuple[Codes, tuple[str, ...]]:
    """Return the label of each row, -1 where nothing is marked, and the names of labels."""
    codes = np.full(len(marked), -1, dtype=np.int64)
    try:
        column = named(table, name, REGION_LABEL_NAMES, source)
    except MissingColumn:
        if name is not None:
            raise
        codes[marked] = 0
        return codes, ("",)
    filled = _filled(table[column], marked, "0")
    texts = encoded(pa.table({column: filled}), column, (), source).filter(pa.array(marked))
    label_names: tuple[str, ...] = tuple(dict.fromkeys(texts.dictionary_decode().to_pylist()))
    if len(label_names) > LABELS_MAX:
        raise TooLarge(f"the label set of {source}", len(label_names), LABELS_MAX, "labels")
    place = {text: at for at, text in enumerate(label_names)}
    codes[marked] = [place[text] for text in texts.dictionary_decode().to_pylist()]
    return codes, label_names


def _span_corners(fields: tuple[Field, ...]) -> Corners:
    start, end = fields
    for each in fields:
        each.refuse(each.values != np.rint(each.values), "not a whole number")
        each.refuse(each.values > CHARACTERS_MAX, f"over the limit, {CHARACTERS_MAX:,}")
    start.refuse(start.values < 0, "below 0")
    end.refuse(end.values <= start.values, "not after the start")
    line = np.zeros_like(start.values)
    return np.column_stack([start.values, line, end.values, line + 1]).astype(np.int64)


def _span_fields(corners: Corners) -> dict[str, npt.NDArray[np.number]]:
    return {"start": corners[:, 0], "end": corners[:, 2]}


def _box_corners(fields: tuple[Field, ...]) -> Corners:
    for each in fields:
        each.refuse(np.abs(each.values) > PIXELS_MAX, f"beyond the limit, {PIXELS_MAX:,}")
    left, top, width, height = (
        np.rint(each.values * UNITS_PER_PIXEL).astype(np.int64) for each in fields
    )
    fields[2].refuse(width <= 0, "not above 0")
    fields[3].refuse(height <= 0, "not above 0")
    return np.column_stack([left, top, left + width, top + height])


def _box_fields(corners: Corners) -> dict[str, npt.NDArray[np.number]]:
    left, top, right, bottom = corners.T
    parts = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    return {name: part / UNITS_PER_PIXEL for name, part in parts.items()}


SPANS = Shape(
    name="spans",
    columns=(START_NAMES, END_NAMES),
    cells_max=4_096,
    corners=_span_corners,
    fields=_span_fields,
)
BOXES = Shape(
    name="boxes",
    columns=BOX_NAMES,
    cells_max=64,
    corners=_box_corners,
    fields=_box_fields,
)


def shape_of(table: pa.Table) -> Shape | None:
    """Return the shape whose columns a table has, with a number in each that is not all blank."""
    found = {column.strip().lower(): column for column in table.column_names}
    for shape in (BOXES, SPANS):
        names = [next(filter(found.get, usual), None) for usual in shape.columns]
        if all(name is not None and _is_numeric(table[found[name]]) for name in names):
            return shape
    return None


def _is_numeric(column: pa.ChunkedArray) -> bool:
    held = column.filter(pa.array(~blank(column)))
    if holds_text(held.type):
        return not len(held) or pc.any(pc.match_substring_regex(held, PLAIN_NUMBER)).as_py()
    return any(
        test(held.type) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
    )
