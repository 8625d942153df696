"""No call of the SQL stores reads a whole table: what is there already never slows it down."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from cluster.domain.ids import KeyId, ModelName, ShardId, WorkerId
from cluster.domain.quotas import Quotas
from cluster.domain.work import AnswerColumns
from cluster.ports import Stores
from cluster.stores.objects import MemoryObjects
from cluster.stores.sealing import Seals
from cluster.stores.sql import sql_stores
from cluster.stores.sql.engine import Database
from cluster.stores.upgrade import upgrade
from tests.conformance import samples
from tests.model_lines import go_live

PETS = ModelName("acme/pets")

CALLS: dict[str, Callable[[Stores], object]] = {
    "jobs.create": lambda s: s.jobs.create(samples.job(2), samples.key(), 10),
    "jobs.find": lambda s: s.jobs.find(samples.TENANT, samples.key()),
    "jobs.load": lambda s: s.jobs.load(samples.JOB),
    "jobs.page": lambda s: s.jobs.page(samples.TENANT, samples.JOB, 10),
    "jobs.save": lambda s: s.jobs.save(s.jobs.load(samples.JOB)),
    "jobs.unfinished": lambda s: s.jobs.unfinished(),
    "events.append": lambda s: s.events.append([samples.event()]),
    "events.newest": lambda s: s.events.newest(samples.JOB),
    "events.read": lambda s: s.events.read(samples.JOB, 3, 10),
    "chunks.chunks": lambda s: s.chunks.chunks(samples.JOB),
    "chunks.holding": lambda s: s.chunks.holding(samples.JOB, 7),
    "chunks.set_predicted": lambda s: s.chunks.set_predicted([samples.prediction(0, 1)]),
    "chunks.predictions": lambda s: s.chunks.predictions(samples.JOB),
    "partitions.acquire": lambda s: s.partitions.acquire(samples.JOB, 0, ShardId(1)),
    "partitions.owned_by": lambda s: s.partitions.owned_by(ShardId(0)),
    "partitions.of_job": lambda s: s.partitions.of_job(samples.JOB),
    "answers.append": lambda s: s.answers.append(
        samples.partition(), AnswerColumns.of([samples.answer()])
    ),
    "answers.read": lambda s: s.answers.read(samples.JOB, 0, 10),
    "answers.find": lambda s: s.answers.find(
        samples.JOB, [(1, WorkerId("ann")), (2, WorkerId("zoe"))]
    ),
    "answers.totals": lambda s: s.answers.totals(WorkerId("ann")),
    "workers.page": lambda s: s.workers.page(WorkerId("a"), 10),
    "workers.set_paused": lambda s: s.workers.set_paused(WorkerId("ann"), paused=True),
    "models.versions": lambda s: s.models.versions(PETS),
    "models.names": lambda s: s.models.names("acme/", PETS, 10),
    "models.live": lambda s: s.models.live(PETS),
    "lines.standing": lambda s: s.lines.standing(PETS),
    "lines.take": lambda s: go_live(s.lines, PETS, 2),
    "lines.history": lambda s: s.lines.history(PETS, 9, 10),
    "lines.came_live": lambda s: s.lines.came_live(PETS, 1),
    "lines.trials": lambda s: s.lines.trials(),
    "traffic.add": lambda s: s.traffic.add([samples.traffic()]),
    "traffic.of": lambda s: s.traffic.of(PETS),
    "results.append": lambda s: s.results.append(samples.segment(0, 0, 3)),
    "results.segments": lambda s: s.results.segments(samples.JOB, 3, 10),
    "results.before": lambda s: s.results.before(samples.JOB, 3, 10),
    "results.before, from the end": lambda s: s.results.before(samples.JOB, None, 10),
    "uploads.create": lambda s: s.uploads.create(samples.upload("upl-2"), 1_000),
    "quotas.usage": lambda s: s.quotas.usage(samples.TENANT),
    "quotas.uploads": lambda s: s.quotas.uploads(samples.TENANT, "upl-9", 10),
    "quotas.exception": lambda s: s.quotas.exception(samples.TENANT),
    "quotas.set_exception": lambda s: s.quotas.set_exception(samples.TENANT, Quotas()),
    "retention.expiring": lambda s: s.retention.expiring(9.0, 10),
    "retention.is_source": lambda s: s.retention.is_source(samples.TENANT, "upload://upl-1"),
    "retention.drop_contents": lambda s: s.retention.drop_contents(samples.JOB),
    "retention.upload": lambda s: s.retention.upload("upl-1"),
    "uploads.get": lambda s: s.uploads.get(samples.TENANT, "upl-1"),
    "uploads.append": lambda s: s.uploads.append(samples.upload(), []),
    "uploads.parts": lambda s: s.uploads.parts("upl-1"),
    "uploads.unfinished": lambda s: s.uploads.unfinished(samples.TENANT),
    "uploads.remove": lambda s: s.uploads.remove(samples.TENANT, "upl-1"),
    "uploads.remove_expired": lambda s: s.uploads.remove_expired(200.0, 10),
    "events.notices": lambda s: s.events.notices(10),
    "events.drop_notices": lambda s: s.events.drop_notices([samples.notice()]),
    "webhooks.add": lambda s: s.webhooks.add(samples.webhook("whk-2"), 10),
    "webhooks.of_tenant": lambda s: s.webhooks.of_tenant(samples.TENANT),
    "webhooks.rotate": lambda s: s.webhooks.rotate(samples.TENANT, "whk-1", "whsec_b", 9.0),
    "webhooks.remove": lambda s: s.webhooks.remove(samples.TENANT, "whk-1"),
    "deliveries.enqueue": lambda s: s.deliveries.enqueue([samples.delivery()], 10),
    "deliveries.claim": lambda s: s.deliveries.claim(99.0, 199.0, 10),
    "deliveries.settle": lambda s: s.deliveries.settle(samples.delivery(), samples.verdict()),
    "keys.find": lambda s: s.keys.find(KeyId("key-1")),
    "keys.revoke": lambda s: s.keys.revoke(KeyId("key-1")),
}

ALLOWED = {
    ("answers.append", "USE TEMP B-TREE FOR GROUP BY"),
    ("events.notices", "SCAN notices USING INDEX sqlite_autoindex_notices_1"),
    ("uploads.remove_expired", "SCAN audit_log USING INDEX sqlite_autoindex_audit_log_1"),
}
"""An append groups the answers it has just written by worker; there are only so many of them. The
notices are read from the first on, as far as the limit. Of the audit log the newest entry is read,
for the next one to stand on."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/muster.db")
    upgrade(opened)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", CALLS)
def test_a_call_searches_by_an_index(database: Database, name: str) -> None:
    # Given stores with something of everything
    stores = sql_stores(database, MemoryObjects(), Seals([bytes(32)]))
    stores.jobs.create(samples.job(), None)
    stores.partitions.add([samples.partition()])
    stores.answers.append(samples.partition(), AnswerColumns.of([samples.answer(7)]))
    stores.workers.add(samples.worker("ann"))
    stores.keys.add(samples.api_key())
    stores.uploads.create(samples.upload(), 1_000)
    stores.events.append([samples.event("paused")])
    stores.webhooks.add(samples.webhook(), 10)
    stores.deliveries.enqueue([samples.delivery("msg_0")], 10)
    for version in (1, 2):
        stores.models.add(samples.model(version))
    go_live(stores.lines, PETS, 1)

    # When a call is made and the database asked how it would run each of its statements
    plans: list[str] = []

    @event.listens_for(database._engine, "before_cursor_execute")
    def explain(
        connection: Connection, _: object, statement: str, parameters: Any, *__: object
    ) -> None:
        if not statement.startswith(("SELECT", "UPDATE", "INSERT", "DELETE")):
            return
        one = parameters[0] if isinstance(parameters, list) else parameters
        driver = connection.connection.driver_connection
        assert driver is not None
        plans.extend(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}", one))

    CALLS[name](stores)

    # Then none reads a table from end to end, nor sorts what it has read, but for its own rows
    plans = [plan for plan in plans if (name, plan) not in ALLOWED]
    plans = [plan for plan in plans if " VIRTUAL TABLE " not in plan]
    assert not [plan for plan in plans if plan.startswith(("SCAN", "USE TEMP B-TREE"))]


def test_however_many_answers_are_looked_for_the_statements_are_two(database: Database) -> None:
    stores = sql_stores(database, MemoryObjects(), Seals([bytes(32)]))
    statements: list[str] = []

    @event.listens_for(database._engine, "before_cursor_execute")
    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        if statement.startswith("SELECT"):
            statements.append(statement)

    stores.partitions.add([samples.partition()])
    stores.answers.append(samples.partition(), AnswerColumns.of([samples.answer(7)]))
    statements.clear()

    found = stores.answers.find(samples.JOB, [(item, WorkerId("ann")) for item in range(500)])

    assert [item for item, label in enumerate(found) if label is not None] == [7]
    assert len(statements) == 2
