"""PostgreSQL's own wall between tenants: it holds although nothing is asked for by tenant."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, insert, inspect, text
from sqlalchemy.exc import ProgrammingError

from cluster.domain.ids import TenantId
from cluster.settings import Settings
from cluster.stores.opened import open_stores
from cluster.stores.sql import schema
from cluster.stores.sql.engine import Database
from cluster.stores.upgrade import migration_config, upgrade
from tests.conformance.conftest import empty
from tests.unit.gateway.foreign import probes, rivals_own, rivals_state
from tests.unit.gateway.forgetful import forget_to_check
from tests.unit.gateway.world import World, problem

ACME, RIVAL = TenantId("acme"), TenantId("rival")
TENANTS_OWN = {
    "jobs",
    "idempotency_keys",
    "uploads",
    "webhooks",
    "tenant_quotas",
    "events",
    "notices",
    "chunks",
    "predictions",
    "partitions",
    "result_segments",
    "models",
    "live_models",
    "line_steps",
    "model_traffic",
    "upload_parts",
    "deliveries",
}
EVERYBODYS = {
    "audit_log": "one chain of all tenants, of ids and hashes; a tenant's view may add to it",
    "names": "no tenant's view may touch it",
    "answers": "no tenant's view may touch it",
    "worker_totals": "no tenant's view may touch it",
    "workers": "no tenant's view may touch it",
    "api_keys": "no tenant's view may touch it",
}


@pytest.fixture
def settings(server_url: str, tmp_path: Path) -> Settings:
    """Return the settings of an empty deployment on PostgreSQL."""
    empty(server_url)
    return Settings(data_dir=tmp_path, database_url=server_url)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """A database in which two tenants have a row in each of their tables."""
    opened = Database(settings.database)
    upgrade(opened)
    for tenant_id in (ACME, RIVAL):
        with opened.writing("fill") as connection:
            for name in sorted(TENANTS_OWN, key=lambda name: name == "live_models"):
                table = schema.metadata.tables[name]
                connection.execute(insert(table), row_of(name, tenant_id))
    yield opened
    opened.close()


def row_of(name: str, tenant_id: TenantId) -> dict[str, object]:
    """Return a row of a table that is a tenant's."""
    ids = {
        "tenant_id": tenant_id,
        "job_id": f"job-{tenant_id}",
        "upload_id": f"upl-{tenant_id}",
        "webhook_id": f"whk-{tenant_id}",
        "name": f"{tenant_id}/pets",
    }
    values: dict[type, object] = {str: "x", int: 1, float: 1.0, bool: False, bytes: b"x"}
    return {
        column.name: ids.get(column.name, values[column.type.python_type])
        for column in schema.metadata.tables[name].c
    }


def counted(connection: Connection, name: str) -> int:
    return int(connection.scalar(text(f"SELECT count(*) FROM {name}")) or 0)  # noqa: S608


def owners(connection: Connection, name: str) -> set[str]:
    """Return whose rows of a table are seen, told by what their ids end with."""
    found = connection.execute(text(f"SELECT * FROM {name}")).mappings().all()  # noqa: S608
    told = [" ".join(map(str, row.values())) for row in found]
    return {tenant for tenant in (ACME, RIVAL) for row in told if tenant in row}


def test_every_table_is_either_a_tenants_own_or_reviewed(database: Database) -> None:
    with database.reading() as connection:
        tables = set(inspect(connection).get_table_names()) - {"alembic_version"}
        secured = set(connection.scalars(text("SELECT relname FROM pg_class WHERE relrowsecurity")))
    assert secured == TENANTS_OWN
    assert tables == TENANTS_OWN | set(EVERYBODYS)


@pytest.mark.parametrize("name", sorted(TENANTS_OWN))
def test_without_any_filter_a_tenant_sees_its_own_rows_alone(database: Database, name: str) -> None:
    with database.reading() as connection:
        assert owners(connection, name) == {ACME, RIVAL}
    for tenant_id in (ACME, RIVAL):
        with database.for_tenant(tenant_id).reading() as connection:
            assert owners(connection, name) == {tenant_id}
            assert counted(connection, name) == 1
    with database.for_tenant(TenantId("nobody")).reading() as connection:
        assert counted(connection, name) == 0


@pytest.mark.parametrize("name", sorted(TENANTS_OWN))
def test_without_any_filter_a_tenant_changes_its_own_rows_alone(
    database: Database, name: str
) -> None:
    column = next(iter(schema.metadata.tables[name].c)).name
    view = database.for_tenant(ACME)
    with view.writing("touch all") as connection:
        touched = connection.execute(text(f"UPDATE {name} SET {column} = {column}"))  # noqa: S608
        assert touched.rowcount == 1
    key = {each.name for each in schema.metadata.tables[name].primary_key}
    foreign = row_of(name, RIVAL)
    foreign |= {part: 7 for part in key if isinstance(foreign[part], int)}
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        view.writing("put in") as connection,
    ):
        connection.execute(insert(schema.metadata.tables[name]), foreign)
    with view.writing("delete all") as connection:
        if name != "models":  # which its live version holds
            connection.execute(text(f"DELETE FROM {name}"))  # noqa: S608
    with database.reading() as connection:
        assert RIVAL in owners(connection, name)


@pytest.mark.parametrize("name", sorted(set(EVERYBODYS) - {"audit_log"}))
def test_what_is_not_a_tenants_is_closed_to_its_view(database: Database, name: str) -> None:
    view = database.for_tenant(ACME)
    with pytest.raises(ProgrammingError, match="permission denied"), view.reading() as connection:
        counted(connection, name)


def test_the_audit_log_is_not_changed_by_a_tenants_view(database: Database) -> None:
    for statement in ("UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log"):
        view = database.for_tenant(ACME)
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            view.writing("tamper") as connection,
        ):
            connection.execute(text(statement))


def test_a_view_leaves_nothing_behind_on_its_connection(database: Database) -> None:
    # Given connections that views have used, in transactions that ended well and badly
    for _ in range(20):
        with database.for_tenant(ACME).reading() as connection:
            assert counted(connection, "jobs") == 1
        with (
            pytest.raises(ProgrammingError),
            database.for_tenant(ACME).writing("break") as connection,
        ):
            connection.execute(text("SELECT nothing FROM jobs"))
    # Then the service itself sees all again
    with database.reading() as connection:
        assert counted(connection, "jobs") == 2


def test_the_wall_can_be_taken_down_and_built_again(database: Database) -> None:
    with database.writing("downgrade") as connection:
        command.downgrade(migration_config(connection), "0009")
        secured = text("SELECT count(*) FROM pg_class WHERE relrowsecurity")
        assert connection.scalar(secured) == 0
    upgrade(database)
    with database.for_tenant(ACME).reading() as connection:
        assert owners(connection, "jobs") == {ACME}


def test_the_service_works_behind_the_wall_and_no_route_leads_to_another_tenants(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a gateway on PostgreSQL, and something of every kind that is made through it
    with World.of(open_stores(settings), settings.data_dir) as world:
        ids = rivals_own(world)
        before = rivals_state(world, ids)
        # When the application itself does not look any more whose a thing is
        forget_to_check(monkeypatch)
        faults = [probe.fault for probe in probes(world, ids) if probe.fault]
        # Then the database does, on every route
        assert faults == []
        assert rivals_state(world, ids) == before
        # And who owns a thing sees it
        for path in ("/v1/jobs/{job_id}", "/v1/jobs/{job_id}/results", "/v1/webhooks/{webhook_id}"):
            assert world.get(path.format(**ids), tenant="rival").status_code == 200


def test_an_owner_pushes_work_to_workers_of_its_tenant_behind_the_wall(settings: Settings) -> None:
    # Given a gateway on PostgreSQL, where no tenant's view may read workers or keys
    with World.of(open_stores(settings), settings.data_dir) as world:
        job = world.asking(["meow", "woof", "hoot"])
        ann, eve = world.worker("ann"), world.worker("eve", tenant="rival")
        path = f"/v1/jobs/{job.job_id}/assignments"
        # When its owner has questions leased to its own worker, and to another's
        made = world.post(path, {"workers": [{"worker_id": ann, "count": 2}]})
        refused = world.post(path, {"workers": [{"worker_id": eve, "count": 1}]})
        # Then the one may, and the other does not exist
        assert len(made.json()["assignments"][0]["leases"]) == 2
        problem(refused, 404, "worker-not-found")
        assert len(world.get(f"/v1/workers/{ann}/leases", "worker").json()["offers"]) == 2
