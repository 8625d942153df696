"""Small numbers for long names, so that the table with the most rows stays small."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection, ScalarSelect, select
from sqlalchemy.sql.dml import ReturningInsert

from cluster.stores.sql import schema
from cluster.stores.sql.dialect import each_of, insert_or_find_from, raw_rows

T = TypeVar("T")

_names = schema.names.c

_VARIABLES_MAX = 10_000
"""Bound values in one statement; SQLite takes 32,766, PostgreSQL 65,535."""

_REFS_MAX = 1_000_000
"""Names remembered at most, at some hundred bytes each."""


class KnownRefs:
    """The numbers of stored names, remembered by this process; they never change."""

    def __init__(self, dialect: str) -> None:
        self._refs: dict[str, int] = {}
        self._insert = _insert(dialect)

    def find(self, connection: Connection, names: Sequence[str]) -> dict[str, int]:
        """Return the number of each name, giving new names one."""
        known = self._refs
        found = {name: known[name] for name in names if name in known}
        if len(found) < len(names):
            new = sorted({name for name in names if name not in found})
            found.update(raw_rows(connection, self._insert, {"names": new}))
        return found

    def keep(self, refs: Mapping[str, int]) -> None:
        """Remember numbers; call it once the transaction that found them is committed."""
        if len(self._refs) + len(refs) > _REFS_MAX:
            self._refs = {}
        self._refs.update(refs)


def _insert(dialect: str) -> ReturningInsert[tuple[str, int]]:
    """Give those of some names a number that have none, and ask for that of each.

    By their index, however many they are. To look for them first would go by a plan that
    PostgreSQL made while there were few: it would read all names for each new one.
    """
    insert = insert_or_find_from(dialect, schema.names, each_of(dialect, "names"), "name")
    return insert.returning(_names.name, _names.ref)


def ref_of(name: str) -> ScalarSelect[int]:
    """Return the number of a name as a part of a query; a name without one equals no number."""
    return select(_names.ref).where(_names.name == name).scalar_subquery()


def names_of(connection: Connection, refs: Sequence[int]) -> tuple[str, ...]:
    """Return the names behind numbers, in their order."""
    found: dict[int, str] = {}
    for some in batches(refs):
        rows = connection.execute(select(_names.ref, _names.name).where(_names.ref.in_(some)))
        found.update((row.ref, row.name) for row in rows)
    return tuple(found[ref] for ref in refs)


def known_refs(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Return the numbers of those names that have one."""
    wanted = _names.name.in_(each_of(connection.dialect.name, "names"))
    statement = select(_names.name, _names.ref).where(wanted)
    return dict(raw_rows(connection, statement, {"names": list(names)}))


def batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield values, as many at a time as one statement may bind."""
    for start in range(0, len(values), _VARIABLES_MAX):
        yield values[start : start + _VARIABLES_MAX]
