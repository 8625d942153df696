"""Migrations, up and down, over what is stored, on SQLite and on PostgreSQL."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from cluster.domain.audit import Act
from cluster.domain.ids import ModelName, ShardId, WorkerId
from cluster.domain.lines import Stage
from cluster.domain.quotas import Quotas
from cluster.domain.uploads import UploadPart
from cluster.domain.work import AnswerColumns, WorkerTotals
from cluster.ports import Stores
from cluster.settings import Settings
from cluster.stores.objects import MemoryObjects
from cluster.stores.sealing import Seals
from cluster.stores.sql import sql_stores
from cluster.stores.sql.answers import SqlAnswers
from cluster.stores.sql.engine import Database
from cluster.stores.sql.jobs import SqlJobs
from cluster.stores.sql.ledger import SqlChunks
from cluster.stores.sql.lines import SqlLines
from cluster.stores.sql.models import SqlModels
from cluster.stores.sql.people import SqlKeys
from cluster.stores.sql.schema import metadata
from cluster.stores.sql.tenants import SqlQuotas, SqlRetention
from cluster.stores.upgrade import migration_config, upgrade
from tests.conformance import samples
from tests.conformance.conftest import empty
from tests.model_lines import go_back, go_live

PETS = ModelName("acme/pets")
REVISIONS = [
    each.revision for each in ScriptDirectory.from_config(migration_config()).walk_revisions()
]
"""The newest first."""

ACT = Act(at=5.25, tenant_id=samples.TENANT, actor="key-1", action="key.issue", subject="key-1")

Rows = Mapping[str, list[Mapping[str, object]]]
"""All that is stored, by table."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database, before any migration."""
    settings = Settings(data_dir=tmp_path)
    if request.param == "postgresql":
        server_url = request.getfixturevalue("server_url")
        empty(server_url)
        settings = Settings(data_dir=tmp_path, database_url=server_url)
    opened = Database(settings.database)
    yield opened
    opened.close()


def go_to(database: Database, revision: str) -> None:
    with database.writing("downgrade") as connection:
        command.downgrade(migration_config(connection), revision)


def fill(stores: Stores) -> None:
    """Store something in every table."""
    job = replace(samples.job(), paused=True, amendment=samples.amendment())
    stores.webhooks.add(samples.webhook(), 10)
    stores.deliveries.enqueue([samples.delivery()], 10)
    stores.jobs.create(job, samples.key())
    stores.events.append([samples.event(), samples.event("paused")])
    stores.chunks.add([samples.chunk(0), samples.chunk(1)])
    stores.chunks.set_predicted([samples.prediction(0, 1)])
    stores.results.append(samples.segment(0, 0, 5))
    stores.partitions.add([samples.partition()])
    fence = stores.partitions.acquire(samples.JOB, 0, ShardId(0))
    stores.answers.append(fence, AnswerColumns.of([samples.answer(1), samples.answer(2)]))
    stores.workers.add(samples.worker("ann"))
    for version in range(3):
        stores.models.add(samples.model(version))
    for version in (0, 1):
        go_live(stores.lines, PETS, version)
    stores.traffic.add([samples.traffic()])
    stores.keys.add(replace(samples.api_key(), clearances=frozenset({"pii"})), ACT)
    stores.quotas.set_exception(samples.TENANT, Quotas(items_max=5))
    stores.uploads.create(samples.upload(), 1_000)
    stores.uploads.append(
        samples.upload(), [UploadPart(offset_bytes=0, size_bytes=30, path="parts/0")]
    )


def rows_of(connection: Connection) -> Rows:
    tables = set(inspect(connection).get_table_names()) - {"alembic_version"}
    return {
        table: sorted(
            (dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()),  # noqa: S608
            key=repr,
        )
        for table in sorted(tables)
    }


def only(row: Mapping[str, object], like: list[Mapping[str, object]]) -> Mapping[str, object]:
    """Return a row without the columns that other rows have not."""
    return {name: row[name] for name in like[0] if name in row}


def test_migrations_leave_exactly_the_tables_the_code_uses(database: Database) -> None:
    upgrade(database)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)

    assert differences == []


def test_every_migration_can_be_taken_back_and_run_again_over_what_is_stored(
    database: Database,
) -> None:
    # Given a database with something in every table
    upgrade(database)
    fill(sql_stores(database, MemoryObjects(), Seals([b"k" * 32])))
    with database.reading() as connection:
        before = rows_of(connection)
    assert [table for table, rows in before.items() if not rows] == []
    # When each migration is taken back, the newest first, one by one
    for revision in REVISIONS[1:]:
        go_to(database, revision)
        with database.reading() as connection:
            left = rows_of(connection)
        # Then what has a place in the version before is there as it was
        for table, rows in left.items():
            assert rows == [only(row, rows) for row in before[table]], (revision, table)
    # And at last nothing is left, until all run again
    go_to(database, "base")
    with database.reading() as connection:
        assert rows_of(connection) == {}
    upgrade(database)
    with database.reading() as connection:
        assert rows_of(connection) == {table: [] for table in before}


@pytest.mark.parametrize("revision", REVISIONS[1:])
def test_what_comes_back_from_an_older_version_is_whole(database: Database, revision: str) -> None:
    # Given a database with something in every table, taken back to a version
    upgrade(database)
    fill(sql_stores(database, MemoryObjects(), Seals([b"k" * 32])))
    with database.reading() as connection:
        before = rows_of(connection)
    go_to(database, revision)
    with database.reading() as connection:
        known = rows_of(connection)
    # When it is brought up to date
    upgrade(database)
    # Then all that the older version knew is there
    with database.reading() as connection:
        after = rows_of(connection)
    assert after.keys() == before.keys()
    for table, rows in known.items():
        assert [only(row, rows) for row in after[table]] == rows, table


def test_answers_of_before_the_totals_are_counted_when_these_are_added(database: Database) -> None:
    # Given a database of the first version with answers in it
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


def test_jobs_of_before_there_were_wishes_have_none_and_lose_them_on_the_way_back(
    database: Database,
) -> None:
    # Given a database with a job of before
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


def test_keys_of_before_there_were_clearances_have_none_and_lose_them_on_the_way_back(
    database: Database,
) -> None:
    # Given a database of before with a key that was cleared
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


def test_a_migration_that_fails_half_way_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.writing("migrate") as connection:
            command.upgrade(migration_config(connection), "head")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    with database.reading() as connection:
        assert inspect(connection).get_table_names() == []
    upgrade(database)


def test_a_line_of_before_there_were_steps_begins_its_history_and_keeps_its_version(
    database: Database,
) -> None:
    # Given a database of before, in which version 3 of a line is live and has predicted a chunk
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
