"""The SQL engine: durable, strict, and busy rather than broken."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from cluster.errors import StoreBusy
from cluster.stores.sql.engine import Database
from cluster.stores.sql.schema import HEAD
from cluster.stores.upgrade import migration_config, upgrade

BUSY_TIMEOUT_S = 0.05


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "100% näher.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{path}", busy_timeout_s=BUSY_TIMEOUT_S)
    upgrade(opened)
    yield opened
    opened.close()


def add_name(database: Database, name: str) -> None:
    with database.writing("add name") as connection:
        connection.execute(text("INSERT INTO names (name) VALUES (:name)"), {"name": name})


def stored_names(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.scalars(text("SELECT name FROM names ORDER BY ref")))


def test_commits_are_synced_and_references_are_checked(database: Database) -> None:
    with database.reading() as connection:
        pragmas = {
            name: connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_reference_to_nothing_is_refused(database: Database) -> None:
    insert = text("INSERT INTO live_models (name, version) VALUES ('ghost', 1)")

    with pytest.raises(IntegrityError), database.writing("promote") as connection:
        connection.execute(insert)


def test_a_block_that_raises_writes_nothing(database: Database) -> None:
    def fail() -> None:
        with database.writing("add names") as connection:
            connection.execute(text("INSERT INTO names (name) VALUES ('a')"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    add_name(database, "b")
    assert stored_names(database) == ["b"]


def test_another_process_writing_makes_the_store_busy_not_broken(
    database: Database, path: Path
) -> None:
    # Given another connection in the middle of a write
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    # Then a write gives up after the timeout, and a read goes on
    with pytest.raises(StoreBusy, match="add name"):
        add_name(database, "late")
    assert stored_names(database) == []

    # And once the other is done, so does the write
    other.execute("ROLLBACK")
    other.close()
    add_name(database, "in time")
    assert stored_names(database) == ["in time"]


def test_threads_of_one_process_take_turns_and_give_up_alike(database: Database) -> None:
    writing, done = threading.Event(), threading.Event()

    def hold() -> None:
        with database.writing("hold"):
            writing.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    writing.wait(30)
    with pytest.raises(StoreBusy):
        add_name(database, "late")
    done.set()
    holder.join()

    add_name(database, "in time")
    assert stored_names(database) == ["in time"]


def test_a_full_disk_is_busy_and_keeps_what_was_acknowledged(path: Path) -> None:
    # Given a database that may not grow by much
    roomy = Database(f"sqlite:///{path}")
    upgrade(roomy)
    roomy.close()
    database = Database(f"sqlite:///{path}")

    @event.listens_for(database._engine, "connect")
    def limit(connection: sqlite3.Connection, _: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 8}")

    # When it is written to until it is full
    acknowledged: list[str] = []

    def write_on() -> None:
        for number in range(1_000):
            name = f"{number:04d}" * 200
            add_name(database, name)
            acknowledged.append(name)

    with pytest.raises(StoreBusy):
        write_on()

    # Then all that was acknowledged is there, and the file is sound
    assert stored_names(database) == acknowledged
    with database.reading() as connection:
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
    database.close()


def test_the_newest_migration_is_the_one_the_code_expects() -> None:
    assert ScriptDirectory.from_config(migration_config()).get_heads() == [HEAD]
