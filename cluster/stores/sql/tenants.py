"""What tenants have and may have, and what of it is to go, in SQL."""

from dataclasses import asdict

from sqlalchemy import delete, func, select

from cluster.domain.audit import Act
from cluster.domain.ids import JobId, TenantId, UnixSeconds
from cluster.domain.jobs import Job, JobState
from cluster.domain.quotas import Quotas, Usage
from cluster.domain.uploads import Upload
from cluster.stores.sql import schema
from cluster.stores.sql.audit import note
from cluster.stores.sql.dialect import insert_if_new
from cluster.stores.sql.engine import Database
from cluster.stores.sql.jobs import job_of
from cluster.stores.sql.uploads import UPLOAD, stored_bytes

_jobs, _uploads, _quotas = schema.jobs.c, schema.uploads.c, schema.tenant_quotas.c
_CONTENTS = (schema.segments, schema.predictions, schema.chunks)


class SqlQuotas:
    """A `QuotaStore` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def usage(self, tenant_id: TenantId) -> Usage:
        """Return what a tenant has."""
        unfinished = select(func.count()).where(_jobs.tenant_id == tenant_id, ~_jobs.finished)
        items = select(func.coalesce(func.sum(_jobs.stored_items), 0)).where(
            _jobs.tenant_id == tenant_id
        )
        with self._database.reading() as connection:
            return Usage(
                jobs_unfinished=int(connection.scalar(unfinished) or 0),
                items=int(connection.scalar(items) or 0),
                upload_bytes=stored_bytes(connection, tenant_id),
            )

    def uploads(self, tenant_id: TenantId, before: str | None, limit: int) -> tuple[Upload, ...]:
        """Return up to `limit` uploads of a tenant whose ids are before one, the last ids first."""
        statement = select(*UPLOAD).where(_uploads.tenant_id == tenant_id)
        if before is not None:
            statement = statement.where(_uploads.upload_id < before)
        page = statement.order_by(_uploads.upload_id.desc()).limit(limit)
        with self._database.reading() as connection:
            return tuple(Upload(**row) for row in connection.execute(page).mappings())

    def exception(self, tenant_id: TenantId) -> Quotas:
        """Return how a tenant's quotas differ from everybody's."""
        statement = select(schema.tenant_quotas).where(_quotas.tenant_id == tenant_id)
        with self._database.reading() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return Quotas()
        return Quotas(
            jobs_unfinished_max=row.jobs_unfinished_max,
            items_max=row.items_max,
            upload_bytes_max=row.upload_bytes_max,
        )

    def set_exception(self, tenant_id: TenantId, quotas: Quotas, act: Act | None = None) -> None:
        """Let a tenant's quotas differ from everybody's, in place of how they did before."""
        with self._database.writing("set quotas") as connection:
            connection.execute(delete(schema.tenant_quotas).where(_quotas.tenant_id == tenant_id))
            row = {"tenant_id": tenant_id, **asdict(quotas)}
            insert_if_new(connection, schema.tenant_quotas, row)
            note(connection, act)


class SqlRetention:
    """A `RetentionStore` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def expiring(self, now: UnixSeconds, limit: int) -> tuple[Job, ...]:
        """Return up to `limit` jobs whose time has come, the longest due first."""
        statement = (
            select(schema.jobs)
            .where(_jobs.expires_at <= now)
            .order_by(_jobs.expires_at)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple(map(job_of, connection.execute(statement)))

    def is_source(self, tenant_id: TenantId, uri: str) -> bool:
        """Whether a tenant has a job from a source that has not expired."""
        statement = (
            select(_jobs.job_id)
            .where(
                _jobs.tenant_id == tenant_id,
                _jobs.source_uri == uri,
                _jobs.state != JobState.EXPIRED.value,
            )
            .limit(1)
        )
        with self._database.reading() as connection:
            return connection.scalar(statement) is not None

    def drop_contents(self, job_id: JobId) -> None:
        """Forget a job's chunks, their predictions and its results."""
        with self._database.writing("drop contents") as connection:
            for table in _CONTENTS:
                connection.execute(delete(table).where(table.c.job_id == job_id))

    def upload(self, upload_id: str) -> Upload | None:
        """Return an upload, whoever owns it, None where there is none."""
        statement = select(*UPLOAD).where(_uploads.upload_id == upload_id)
        with self._database.reading() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return None if row is None else Upload(**row)
