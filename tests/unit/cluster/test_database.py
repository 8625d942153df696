"""The SQL engine: durable, strict, and busy rather than broken."""

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, inspect, text
from sqlalchemy.exc import IntegrityError

from cluster.domain.ids import ModelName, WorkerId
from cluster.domain.lines import Stage
from cluster.domain.work import WorkerTotals
from cluster.errors import StoreBusy
from cluster.stores.sql.answers import SqlAnswers
from cluster.stores.sql.engine import Database
from cluster.stores.sql.jobs import SqlJobs
from cluster.stores.sql.ledger import SqlChunks
from cluster.stores.sql.lines import SqlLines
from cluster.stores.sql.models import SqlModels
from cluster.stores.sql.people import SqlKeys
from cluster.stores.sql.schema import HEAD, metadata
from cluster.stores.sql.tenants import SqlQuotas, SqlRetention
from cluster.stores.upgrade import migration_config, upgrade
from tests.conformance import samples
from tests.model_lines import go_back, go_live

PETS = ModelName("acme/pets")

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


def test_migrations_leave_exactly_the_tables_the_code_uses(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)

    assert differences == []


def test_the_newest_migration_is_the_one_the_code_expects() -> None:
    assert ScriptDirectory.from_config(migration_config()).get_heads() == [HEAD]


def test_migrations_can_be_taken_back_and_run_again(database: Database) -> None:
    with database.writing("downgrade") as connection:
        command.downgrade(migration_config(connection), "base")
    with database.reading() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]

    upgrade(database)

    add_name(database, "a")
    assert stored_names(database) == ["a"]


def test_answers_of_before_the_totals_are_counted_when_these_are_added(path: Path) -> None:
    # Given a database of the first version with answers in it
    database = Database(f"sqlite:///{path}")
    with database.writing("migrate") as connection:
        command.upgrade(migration_config(connection), "0001")
        connection.execute(text("INSERT INTO names VALUES (1, 'job'), (2, 'ann'), (3, 'zoe')"))
        connection.execute(
            text("INSERT INTO answers VALUES (1, :seq, :seq, :worker, 0, :audit, 0.25, :at, 1.0)"),
            [
                {"seq": 1, "worker": 2, "audit": False, "at": 30.0},
                {"seq": 2, "worker": 2, "audit": True, "at": 10.0},
                {"seq": 3, "worker": 3, "audit": False, "at": 20.0},
            ],
        )

    # When it is brought up to date
    upgrade(database)

    # Then the totals hold them
    log = SqlAnswers(database)
    assert log.totals(WorkerId("ann")) == WorkerTotals(
        answers=2, earned=0.5, first_answered_at=10.0, last_answered_at=30.0
    )
    assert log.totals(WorkerId("zoe")).answers == 1
    database.close()


def test_jobs_of_before_there_were_wishes_have_none_and_lose_them_on_the_way_back(
    path: Path,
) -> None:
    # Given a database with a job of before
    database = Database(f"sqlite:///{path}")
    job = samples.job()
    upgrade(database)
    SqlJobs(database).create(replace(job, paused=True, amendment=samples.amendment()), None)
    with database.writing("downgrade") as connection:
        command.downgrade(migration_config(connection), "0003")
        columns = {found["name"] for found in inspect(connection).get_columns("jobs")}
        assert columns.isdisjoint({"paused", "amendment"})

    # When it is brought up to date
    upgrade(database)

    # Then the job is all there, and wishes nothing; what it holds is counted
    assert SqlJobs(database).load(job.job_id) == job
    assert SqlQuotas(database).usage(samples.TENANT).items == job.progress.items
    assert SqlRetention(database).is_source(samples.TENANT, job.spec.source.uri)
    database.close()


def test_keys_of_before_there_were_clearances_have_none_and_lose_them_on_the_way_back(
    path: Path,
) -> None:
    # Given a database of before with a key that was cleared
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    key = samples.api_key()
    SqlKeys(database).add(replace(key, clearances=frozenset({"pii"})))
    with database.writing("downgrade") as connection:
        command.downgrade(migration_config(connection), "0010")
        columns = {found["name"] for found in inspect(connection).get_columns("api_keys")}
        assert "clearances" not in columns

    # When it is brought up to date
    upgrade(database)

    # Then the key is all there, and cleared for nothing
    assert SqlKeys(database).find(key.key_id) == key
    database.close()


def test_a_migration_that_fails_half_way_leaves_nothing(path: Path) -> None:
    database = Database(f"sqlite:///{path}")

    def fail() -> None:
        with database.writing("migrate") as connection:
            command.upgrade(migration_config(connection), "head")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    with database.reading() as connection:
        assert inspect(connection).get_table_names() == []
    upgrade(database)
    database.close()


def test_a_line_of_before_there_were_steps_begins_its_history_and_keeps_its_version(
    path: Path,
) -> None:
    # Given a database of before, in which version 3 of a line is live and has predicted a chunk
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    models = SqlModels(database)
    for version in range(4):
        models.add(samples.model(version))
    go_live(SqlLines(database), PETS, 3)
    SqlChunks(database).set_predicted([samples.prediction(0, 3)])
    with database.writing("downgrade") as connection:
        command.downgrade(migration_config(connection), "0007")
        tables = inspect(connection).get_table_names()
        assert {"line_steps", "model_traffic"}.isdisjoint(tables)
    assert models.live(PETS) == samples.model(3)

    # When it is brought up to date
    upgrade(database)

    # Then the line goes on behind a first step, which says what version 3 was trained over
    lines = SqlLines(database)
    step = lines.standing(PETS)
    assert (step.revision, step.version, step.over, step.live) == (4, 3, 2, 3)
    assert (step.stage, step.by, step.p_value) == (Stage.LIVE, samples.JOB, None)
    assert SqlChunks(database).predictions(samples.JOB) == (samples.prediction(0, 3),)
    assert lines.trials() == ()
    go_back(lines, PETS, 2)
    assert models.live(PETS) == samples.model(2)
    database.close()
