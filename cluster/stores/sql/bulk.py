"""Whole columns into a table at once, with no object for a row or a value on the way.

PostgreSQL takes them as one binary COPY (its manual, section "COPY"), laid out by NumPy; SQLite as
one prepared statement over plain tuples.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

Column = npt.NDArray[Any]

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_PER_ROW = "fields"


def insert_columns(connection: Connection, table: Table, columns: Mapping[str, Column]) -> None:
    """Insert one row for each index of the columns, which are of one length.

    A column is of the very type the table's is: int64, int16, bool or float64. Raises what
    SQLAlchemy raises of any insert.
    """
    if connection.dialect.name == "postgresql":
        _copy(connection, table, columns)
    else:
        _insert(connection, table, columns)


def _insert(connection: Connection, table: Table, columns: Mapping[str, Column]) -> None:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608 our own names
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    connection.exec_driver_sql(statement, list(rows))


def _copy(connection: Connection, table: Table, columns: Mapping[str, Column]) -> None:
    statement = f"COPY {table.name} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    content = _HEADER + _rows(columns).tobytes() + _TRAILER
    driver: Any = connection.connection.driver_connection
    base: type[Exception] = connection.dialect.loaded_dbapi.Error
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(content)
    except base as error:
        raise DBAPIError.instance(
            statement, None, error, base, dialect=connection.dialect
        ) from error


def _rows(columns: Mapping[str, Column]) -> npt.NDArray[np.void]:
    """Return rows as COPY reads them: a field count, then length and value of every field."""
    layout: list[tuple[str, Any]] = [(_PER_ROW, ">i2")]
    for name, column in columns.items():
        layout += [(f"{name} bytes", ">i4"), (name, column.dtype.newbyteorder(">"))]
    rows = np.empty(len(next(iter(columns.values()))), dtype=layout)
    rows[_PER_ROW] = len(columns)
    for name, column in columns.items():
        rows[f"{name} bytes"] = column.dtype.itemsize
        rows[name] = column
    return rows
