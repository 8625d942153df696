"""Every store in a SQL database, through SQLAlchemy Core: SQLite, and written for PostgreSQL.

The two differ in three places, each behind a name: `engine` (how a transaction begins and which
driver errors mean "busy"), `dialect` (inserts that skip or replace, and one writer per key), and
the collation of text keys in `schema`.
"""

from dataclasses import replace
from functools import lru_cache

from cluster.domain.ids import TenantId
from cluster.ports import ObjectStore, Stores
from cluster.stores.sealing import Seals
from cluster.stores.sql.answers import SqlAnswers
from cluster.stores.sql.audit import SqlAudit
from cluster.stores.sql.engine import Database
from cluster.stores.sql.events import SqlEvents
from cluster.stores.sql.jobs import SqlJobs
from cluster.stores.sql.ledger import SqlChunks, SqlResults
from cluster.stores.sql.lines import SqlLines, SqlTraffic
from cluster.stores.sql.models import SqlModels
from cluster.stores.sql.partitions import SqlPartitions
from cluster.stores.sql.people import SqlKeys, SqlWorkers
from cluster.stores.sql.tenants import SqlQuotas, SqlRetention
from cluster.stores.sql.uploads import SqlUploads
from cluster.stores.sql.webhooks import SqlDeliveries, SqlWebhooks
from cluster.stores.vault import SealedVault

TENANTS_KEPT = 1_000
"""Of the last ones the stores are kept: to make them takes longer than a query."""


def sql_stores(database: Database, objects: ObjectStore, seals: Seals) -> Stores:
    """Return the stores of a migrated database around an object store; secrets lie sealed in it."""
    vault = SealedVault(objects, seals)

    @lru_cache(TENANTS_KEPT)
    def of_tenant(tenant_id: TenantId) -> Stores:
        return replace(sql_stores(database.for_tenant(tenant_id), objects, seals), vault=vault)

    return Stores(
        jobs=SqlJobs(database),
        events=SqlEvents(database),
        chunks=SqlChunks(database),
        partitions=SqlPartitions(database),
        answers=SqlAnswers(database),
        workers=SqlWorkers(database),
        models=SqlModels(database),
        lines=SqlLines(database),
        traffic=SqlTraffic(database),
        results=SqlResults(database),
        keys=SqlKeys(database),
        uploads=SqlUploads(database),
        quotas=SqlQuotas(database),
        retention=SqlRetention(database),
        webhooks=SqlWebhooks(database, seals),
        deliveries=SqlDeliveries(database, seals),
        audit=SqlAudit(database),
        vault=vault,
        objects=objects,
        scoped=of_tenant,
    )
