"""Rows of CSV, JSON Lines and Parquet files, and the columns they are asked for.

Whatever is wrong raises a leaf of BadInput that names the file, and the column and row where there
is one. Rows are counted from 1, headers apart.
"""

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv
from pyarrow import json as arrow_json
from pyarrow import parquet

from cluster.errors import EmptySource, InvalidField, MissingColumn, UnreadableSource

SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson")

PLAIN_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_NUMBER = r"^[+-]?(\d+\.\d*|\.\d+|\d+(\.\d*)?[eE][+-]?\d+|nan|inf)$"


def file_of(path: Path, stem: str) -> Path:
    """Return the file itself, or that of this stem in a folder. Raises UnreadableSource."""
    if not path.is_dir():
        return path
    for suffix in SUFFIXES:
        if (path / f"{stem}{suffix}").is_file():
            return path / f"{stem}{suffix}"
    raise UnreadableSource(str(path), f"the folder has no {stem}.parquet, .csv or .jsonl")


def read_table(path: Path) -> pa.Table:
    """Return the rows of a file, at least one; columns of CSV and TSV are texts.

    Raises UnreadableSource or EmptySource.
    """
    if path.suffix not in SUFFIXES:
        raise UnreadableSource(str(path), f"its name must end in one of {', '.join(SUFFIXES)}")
    try:
        table = _read_format(path)
    except FileNotFoundError:
        raise UnreadableSource(str(path), "there is no such file") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error):
        raise UnreadableSource(str(path), f"it is not a well-formed {path.suffix} file") from None
    if not table.num_rows:
        raise EmptySource(str(path))
    return table


def _read_format(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return parquet.read_table(path)
    if not path.stat().st_size:
        raise EmptySource(str(path))
    if path.suffix in (".jsonl", ".ndjson"):
        return arrow_json.read_json(path)
    delimiter = "\t" if path.suffix == ".tsv" else ","
    with path.open(encoding="utf-8-sig", newline="") as lines:
        header = next(csv.reader(lines, delimiter=delimiter))
    return arrow_csv.read_csv(
        path,
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
    )


def encoded(
    table: pa.Table,
    name: str | None,
    usual: tuple[str, ...],
    source: Path,
    *,
    classes: bool = False,
) -> pa.DictionaryArray:
    """Return a column as texts by code, in order of appearance; every row must have one."""
    column = named(table, name, usual, source)
    values = table[column]
    if classes and pa.types.is_floating(values.type):
        raise _not_a_class(column, 1, values[0].as_py(), source)
    try:
        texts = values.cast(pa.string()).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InvalidField(column, f"{source} holds {values.type} there, not text") from None
    blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts), ""), True)  # noqa: FBT003
    if row := first(blank):
        raise InvalidField(column, f"row {row} of {source} is empty")
    if classes and (row := first(pc.match_substring_regex(texts, _NUMBER, ignore_case=True))):
        raise _not_a_class(column, row, texts[row - 1], source)
    return texts.dictionary_encode()


def _not_a_class(column: str, row: int, value: object, source: Path) -> InvalidField:
    return InvalidField(
        column,
        f"row {row} of {source} is the number {value}; labels must be classes (names or whole "
        f"numbers), or numbers throughout (--kind numbers)",
    )


def named(table: pa.Table, name: str | None, usual: tuple[str, ...], source: Path) -> str:
    """Return the name of the column asked for, or of the first usual one. Raises MissingColumn."""
    found = tuple(table.column_names)
    if name is not None:
        if name not in found:
            raise MissingColumn(str(source), name, found)
        return name
    for wanted in usual:
        for column in found:
            if column.strip().lower() == wanted:
                return str(column)
    raise MissingColumn(str(source), " or ".join(usual), found)


def first(mask: pa.BooleanArray) -> int:
    """Return the row of the first true value, from 1; 0 for none."""
    return int(pc.index(mask, True).as_py()) + 1


def finite_numbers(column: pa.ChunkedArray, name: str, source: Path) -> npt.NDArray[np.float64]:
    """Return a column as finite numbers; every row must have one."""
    values = column.combine_chunks()
    text = holds_text(values.type)
    if not (text or pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise InvalidField(name, f"{source} holds {values.type} there, not numbers")
    if row := first(pc.is_null(values)):
        raise InvalidField(name, f"row {row} of {source} is empty")
    if text:
        values = pc.utf8_trim_whitespace(values)
        if row := first(pc.invert(pc.match_substring_regex(values, PLAIN_NUMBER))):
            given = values[row - 1].as_py()
            said = f"{given!r}, not a finite number" if given else "empty"
            raise InvalidField(name, f"row {row} of {source} is {said}")
    numbers = np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False))
    if row := first(pa.array(~np.isfinite(numbers))):
        given = numbers[row - 1]
        raise InvalidField(name, f"row {row} of {source} is {given}, not a finite number")
    return numbers


def blank(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Return which rows of a column hold nothing, or only white space."""
    empty = pc.is_null(column)
    if holds_text(column.type):
        empty = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(column), ""), fill_value=True)
    return np.asarray(empty.to_numpy(), dtype=np.bool_)


def holds_text(held: pa.DataType) -> bool:
    """Return whether a column of this type holds text."""
    return bool(pa.types.is_string(held) or pa.types.is_large_string(held))
