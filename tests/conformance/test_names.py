"""The numbers of names on PostgreSQL: giving them costs no more the more names there are."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from cluster.settings import Settings
from cluster.stores.sql.engine import Database
from cluster.stores.sql.names import KnownRefs
from cluster.stores.upgrade import upgrade
from tests.conformance.conftest import empty

_ROWS_SCANNED = text("SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'names'")


@pytest.fixture
def database(server_url: str, tmp_path: Path) -> Iterator[Database]:
    """A database without any names."""
    empty(server_url)
    opened = Database(Settings(data_dir=tmp_path, database_url=server_url).database)
    upgrade(opened)
    yield opened
    opened.close()


def test_new_names_are_numbered_without_reading_those_there_are(database: Database) -> None:
    # Given a connection that has numbered names since there were none, often enough for a plan
    refs = KnownRefs(database.dialect)
    with database.writing("number names") as connection:
        for batch in range(20):
            refs.find(connection, [f"worker-{batch}-{number}" for number in range(10)])
        # When it numbers some that are new, and asks for one it has forgotten
        found = refs.find(connection, ["worker-19-9", "worker-20-0", "worker-20-1"])
        scanned = connection.scalar(_ROWS_SCANNED)

    # Then each has its own, and no name was read but by the index
    assert len(set(found.values())) == 3
    assert scanned == 0


def test_a_name_that_another_process_has_numbered_keeps_its_number(database: Database) -> None:
    # Given a name that one process has numbered
    with database.writing("number names") as connection:
        numbered = KnownRefs(database.dialect).find(connection, ["ann"])

    # When another, which knows none, numbers it with one that is new
    with database.writing("number names") as connection:
        found = KnownRefs(database.dialect).find(connection, ["bob", "ann"])

    # Then both go by the same number
    assert found["ann"] == numbered["ann"] != found["bob"]
