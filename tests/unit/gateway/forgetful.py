"""SQL stores that do not look whose a thing is: what is left then is the database's own wall."""

from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from cluster.domain.audit import Act
from cluster.domain.ids import JobId, TenantId
from cluster.domain.jobs import Job
from cluster.domain.uploads import Upload
from cluster.domain.webhooks import Webhook
from cluster.stores.sealing import Seals
from cluster.stores.sql import schema, uploads, webhooks
from cluster.stores.sql.jobs import SqlJobs
from cluster.stores.sql.webhooks import SqlWebhooks
from cluster.tenant_errors import WebhookNotFound
from cluster.upload_errors import UploadNotFound


def forget_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have stores in SQL look things up by their ids alone."""
    monkeypatch.setattr(SqlJobs, "get", _job)
    monkeypatch.setattr(uploads, "_upload", _upload)
    monkeypatch.setattr(webhooks, "_webhook", _webhook)
    monkeypatch.setattr(SqlWebhooks, "_change", _change)


def _job(self: SqlJobs, tenant_id: TenantId, job_id: JobId) -> Job:
    del tenant_id
    return self.load(job_id)


def _upload(connection: Connection, tenant_id: TenantId, upload_id: str) -> Upload:
    statement = select(*uploads.UPLOAD).where(schema.uploads.c.upload_id == upload_id)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise UploadNotFound(tenant_id, upload_id)
    return Upload(**row)


def _webhook(connection: Connection, tenant_id: TenantId, webhook_id: str, seals: Seals) -> Webhook:
    statement = select(schema.webhooks).where(schema.webhooks.c.webhook_id == webhook_id)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise WebhookNotFound(tenant_id, webhook_id)
    return webhooks._webhook_of(row, seals)


def _change(
    self: SqlWebhooks,
    operation: str,
    tenant_id: TenantId,
    webhook_id: str,
    changes: dict[str, Any],
    act: Act | None,
) -> Webhook:
    del act
    statement = update(schema.webhooks).where(schema.webhooks.c.webhook_id == webhook_id)
    with self._database.writing(operation) as connection:
        connection.execute(statement.values(changes))
        return _webhook(connection, tenant_id, webhook_id, self._seals)
