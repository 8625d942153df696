"""The few statements that SQLite and PostgreSQL spell differently, or only one of them needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import (
    JSON,
    TEXT,
    ColumnElement,
    Connection,
    Executable,
    Insert,
    Select,
    Table,
    bindparam,
    case,
    func,
    literal,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.base import ReadOnlyColumnCollection

Row = Mapping[str, object]

_FETCHED_ROWS = 10_000

_LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("key", type_=TEXT), 0)))


def insert_if_new(connection: Connection, table: Table, row: Row) -> bool:
    """Insert a row and return True, or return False where its key is there already."""
    statement = _insert(connection, table).values(row).on_conflict_do_nothing()
    return connection.scalar(statement.returning(literal(1))) is not None


def insert_new(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert the rows whose key is not there yet."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def each_of(dialect: str, name: str) -> Select[tuple[str]]:
    """Return the texts of a list as rows of a query; bound under a name, as one value."""
    if dialect == "postgresql":
        return select(func.unnest(bindparam(name, type_=postgresql.ARRAY(TEXT))))
    return select(func.json_each(bindparam(name, type_=JSON)).table_valued("value").c.value)


def insert_or_find_from(
    dialect: str, table: Table, rows: Select[Any], column: str
) -> postgresql.Insert | sqlite.Insert:
    """Return a statement that inserts each value a query finds that is not in a column yet.

    A row that is there is written as it was: what is `returning` is so told of all of them.
    """
    insert = _insert_of(dialect, table).from_select([column], rows.where(true()))
    same = {column: insert.excluded[column]}
    return insert.on_conflict_do_update(index_elements=[column], set_=same)


def insert_or_raise_version(
    connection: Connection, table: Table, rows: Sequence[Row], version: str
) -> None:
    """Insert rows; one whose key is there replaces it unless its `version` column is lower."""
    if not rows:
        return
    statement = _insert(connection, table)
    keys = {column.name for column in table.primary_key}
    statement = statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={c.name: statement.excluded[c.name] for c in table.c if c.name not in keys},
        where=table.c[version] <= statement.excluded[version],
    )
    connection.execute(statement, rows)


def insert_or_add(connection: Connection, table: Table, row: Row, newest: str) -> None:
    """Insert a row, or add its numbers to those of the row that has its key.

    Of the column `newest` the greater number stays.
    """
    statement = _insert(connection, table).values(row)
    excluded, keys = statement.excluded, {column.name for column in table.primary_key}
    changed = {c.name: c + excluded[c.name] for c in table.c if c.name not in keys}
    changed[newest] = case(
        (table.c[newest] < excluded[newest], excluded[newest]), else_=table.c[newest]
    )
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)
    )


def insert_or_change_from(
    dialect: str,
    table: Table,
    rows: Select[Any],
    changed: Callable[[ReadOnlyColumnCollection[str, Any]], Mapping[str, ColumnElement[Any]]],
) -> Insert:
    """Return a statement that inserts what a query finds, in the order of the table's columns.

    A row whose key is there is changed to what `changed` makes of the new values.
    """
    statement = _insert_of(dialect, table).from_select(table.c.keys(), rows)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_=dict(changed(statement.excluded))
    )


def raw_rows(
    connection: Connection, statement: Executable, values: Row | None = None
) -> Iterator[tuple[Any, ...]]:
    """Yield rows as the driver's own tuples, without an object of SQLAlchemy's around each."""
    with closing(connection.execute(statement, values)) as result:
        while rows := result.cursor.fetchmany(_FETCHED_ROWS):
            yield from rows


def one_writer(connection: Connection, key: str) -> None:
    """Let one transaction at a time past this point for a key, until it ends.

    Numbers given out behind it become visible in their order, so a reader that goes on after the
    highest number it saw misses none. SQLite has one writer at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"key": key})


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    return _insert_of(connection.dialect.name, table)


def _insert_of(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
