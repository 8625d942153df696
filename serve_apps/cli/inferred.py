"""What `muster aggregate` found in a table of any kind, and how it is written to a file."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pyarrow import csv, parquet
from rich.table import Table

from cluster.errors import InvalidField


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Inferred:
    """Figures (a dataclass) for `--json`, a table for people, and what makes rows for files.

    `rows` makes one row an item, span or box, `workers` one a worker where the kind knows of any.
    """

    figures: Any
    shown: Table
    rows: Callable[[], pa.Table]
    workers: Callable[[], pa.Table] | None = None


def chosen(method: str | None, default: str, known: tuple[str, ...], kind: str) -> str:
    """Return the method asked for, or the default. Raises InvalidField for an unknown one."""
    if method is None:
        return default
    if method not in known:
        raise InvalidField("method", f"{method} is none of {', '.join(known)} for {kind}")
    return method


def output_format(path: Path) -> Literal[".csv", ".jsonl", ".parquet"]:
    """Return the format a file is to have. Raises InvalidField where it cannot be written."""
    if not path.parent.is_dir():
        raise InvalidField("output", f"there is no folder {path.parent}")
    for known in (".csv", ".jsonl", ".parquet"):
        if path.suffix == known:
            return known
    raise InvalidField("output", f"{path.name} must end in .csv, .jsonl or .parquet")


def write(rows: pa.Table, path: Path) -> None:
    """Write rows in the format that the name of the file asks for."""
    match output_format(path):
        case ".csv":
            csv.write_csv(rows, path)
        case ".parquet":
            parquet.write_table(rows, path)
        case ".jsonl":
            lines = (json.dumps(row, ensure_ascii=False) for row in rows.to_pylist())
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
