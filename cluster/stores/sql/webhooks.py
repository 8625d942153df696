"""Webhooks and the messages on their way to them, in SQL; secrets are stored sealed."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from cluster.domain.audit import Act
from cluster.domain.ids import TenantId, UnixSeconds
from cluster.domain.webhooks import (
    Attempt,
    Delivery,
    Verdict,
    Webhook,
    WebhookKind,
    WebhookState,
)
from cluster.stores.sealing import Seals
from cluster.stores.sql import schema
from cluster.stores.sql.audit import note
from cluster.stores.sql.codec import dump_names, load_names
from cluster.stores.sql.dialect import insert_if_new, one_writer
from cluster.stores.sql.engine import Database
from cluster.tenant_errors import QuotaExceeded, WebhookNotFound

_webhooks, _deliveries = schema.webhooks.c, schema.deliveries.c


class SqlWebhooks:
    """A `WebhookStore` in SQL."""

    def __init__(self, database: Database, seals: Seals) -> None:
        self._database, self._seals = database, seals

    def add(self, webhook: Webhook, most: int, act: Act | None = None) -> None:
        """Store a new webhook; raises QuotaExceeded where its tenant has `most` already."""
        statement = select(func.count()).where(_webhooks.tenant_id == webhook.tenant_id)
        with self._database.writing("add webhook") as connection:
            one_writer(connection, f"webhooks {webhook.tenant_id}")
            used = int(connection.scalar(statement) or 0)
            if used >= most:
                raise QuotaExceeded("webhooks", used, most)
            insert_if_new(connection, schema.webhooks, _row_of(webhook, self._seals))
            note(connection, act)

    def get(self, tenant_id: TenantId, webhook_id: str) -> Webhook:
        """Return a tenant's webhook; raises WebhookNotFound."""
        with self._database.reading() as connection:
            return _webhook(connection, tenant_id, webhook_id, self._seals)

    def of_tenant(self, tenant_id: TenantId) -> tuple[Webhook, ...]:
        """Return a tenant's webhooks by id."""
        statement = (
            select(schema.webhooks)
            .where(_webhooks.tenant_id == tenant_id)
            .order_by(_webhooks.webhook_id)
        )
        with self._database.reading() as connection:
            rows = connection.execute(statement)
            return tuple(_webhook_of(row, self._seals) for row in rows)

    def rotate(
        self,
        tenant_id: TenantId,
        webhook_id: str,
        secret: str,
        old_until: UnixSeconds,
        act: Act | None = None,
    ) -> Webhook:
        """Give a webhook another secret; the one it had signs, too, until a time."""
        changes = {
            "secret": self._seals.seal(secret, webhook_id),
            "old_secret": _webhooks.secret,
            "old_secret_until": old_until,
        }
        return self._change("rotate secret", tenant_id, webhook_id, changes, act)

    def enable(self, tenant_id: TenantId, webhook_id: str, act: Act | None = None) -> Webhook:
        """Send to a webhook again from now on, and return it; raises WebhookNotFound."""
        changes = {"state": WebhookState.ENABLED.value}
        return self._change("enable webhook", tenant_id, webhook_id, changes, act)

    def remove(self, tenant_id: TenantId, webhook_id: str, act: Act | None = None) -> None:
        """Forget a webhook and what was on its way to it; raises WebhookNotFound."""
        with self._database.writing("remove webhook") as connection:
            _webhook(connection, tenant_id, webhook_id, self._seals)
            for table in (schema.webhooks, schema.deliveries):
                connection.execute(delete(table).where(table.c.webhook_id == webhook_id))
            note(connection, act)

    def _change(
        self,
        operation: str,
        tenant_id: TenantId,
        webhook_id: str,
        changes: dict[str, Any],
        act: Act | None,
    ) -> Webhook:
        statement = update(schema.webhooks).where(
            _webhooks.webhook_id == webhook_id, _webhooks.tenant_id == tenant_id
        )
        with self._database.writing(operation) as connection:
            connection.execute(statement.values(changes))
            changed = _webhook(connection, tenant_id, webhook_id, self._seals)
            note(connection, act)
            return changed


class SqlDeliveries:
    """A `DeliveryQueue` in SQL; a webhook's row says when the first of its deliveries is due."""

    def __init__(self, database: Database, seals: Seals) -> None:
        self._database, self._seals = database, seals

    def enqueue(self, deliveries: Sequence[Delivery], most: int) -> None:
        """Store deliveries to enabled webhooks, each of which holds `most` at a time."""
        if not deliveries:
            return
        with self._database.writing("enqueue deliveries") as connection:
            for delivery in sorted(deliveries, key=lambda each: each.webhook_id):
                webhook = _locked(connection, delivery.webhook_id)
                enabled = webhook is not None and webhook.state == WebhookState.ENABLED
                if enabled and _waiting(connection, delivery.webhook_id) < most:
                    insert_if_new(connection, schema.deliveries, asdict(delivery))
                    _note_due(connection, delivery.webhook_id)

    def claim(
        self, now: UnixSeconds, until: UnixSeconds, limit: int
    ) -> tuple[tuple[Webhook, Delivery], ...]:
        """Return the next delivery that is due of up to `limit` webhooks, longest due first."""
        due = (
            select(schema.webhooks)
            .where(_webhooks.due_at <= now, _webhooks.claimed_until <= now)
            .order_by(_webhooks.due_at)
            .limit(limit)
        )
        with self._database.reading() as connection:
            if connection.execute(due.limit(1)).one_or_none() is None:
                return ()
        claimed = []
        with self._database.writing("claim deliveries") as connection:
            locked = due.with_for_update(skip_locked=True)
            for row in connection.execute(locked).all():
                webhook = _webhook_of(row, self._seals)
                delivery = _first_due(connection, webhook.webhook_id)
                if delivery is not None:
                    _set(connection, webhook.webhook_id, claimed_until=until)
                    claimed.append((webhook, delivery))
        return tuple(claimed)

    def overdue(self, since: UnixSeconds) -> int:
        """Return how many webhooks have had a delivery due since before a time."""
        statement = select(func.count()).where(_webhooks.due_at < since)
        with self._database.reading() as connection:
            return int(connection.scalar(statement) or 0)

    def settle(self, delivery: Delivery, verdict: Verdict) -> None:
        """Store what came of a claimed delivery and end its claim."""
        webhook_id, attempt = delivery.webhook_id, verdict.attempt
        over = delete(schema.deliveries).where(_deliveries.webhook_id == webhook_id)
        this = _deliveries.message_id == delivery.message_id
        with self._database.writing("settle delivery") as connection:
            if _locked(connection, webhook_id) is None:
                return
            if verdict.state is not WebhookState.ENABLED:
                connection.execute(over)
            elif verdict.due_at is None:
                connection.execute(over.where(this))
            else:
                again = update(schema.deliveries).where(_deliveries.webhook_id == webhook_id, this)
                changes = {"due_at": verdict.due_at, "attempts": delivery.attempts + 1}
                connection.execute(again.values(changes))
            if attempt.is_success:
                _set(connection, webhook_id, last_success_at=attempt.at)
            _set(
                connection,
                webhook_id,
                state=verdict.state.value,
                last_at=attempt.at,
                last_status=attempt.status,
                last_error=attempt.error,
                claimed_until=0.0,
            )
            _note_due(connection, webhook_id)


def _locked(connection: Connection, webhook_id: str) -> Row[Any] | None:
    """Return a webhook's row, which nobody else changes until the transaction ends."""
    statement = select(schema.webhooks).where(_webhooks.webhook_id == webhook_id)
    return connection.execute(statement.with_for_update()).one_or_none()


def _waiting(connection: Connection, webhook_id: str) -> int:
    statement = select(func.count()).where(_deliveries.webhook_id == webhook_id)
    return int(connection.scalar(statement) or 0)


def _note_due(connection: Connection, webhook_id: str) -> None:
    first = select(func.min(_deliveries.due_at)).where(_deliveries.webhook_id == webhook_id)
    _set(connection, webhook_id, due_at=first.scalar_subquery())


def _set(connection: Connection, webhook_id: str, **changes: object) -> None:
    statement = update(schema.webhooks).where(_webhooks.webhook_id == webhook_id)
    connection.execute(statement.values(changes))


def _first_due(connection: Connection, webhook_id: str) -> Delivery | None:
    statement = (
        select(schema.deliveries)
        .where(_deliveries.webhook_id == webhook_id)
        .order_by(_deliveries.due_at)
        .limit(1)
    )
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else Delivery(**row)


def seal_anew(database: Database, seals: Seals) -> None:
    """Seal every secret that is not sealed under the first key; raises SecretUnreadable.

    Secrets of before there were seals are sealed, and those of a key that is to be retired.
    """
    columns = select(_webhooks.webhook_id, _webhooks.secret, _webhooks.old_secret)
    with database.reading() as connection:
        rows = connection.execute(columns).all()
    if all(_are_current((row.secret, row.old_secret), seals) for row in rows):
        return
    with database.writing("seal secrets") as connection:
        for row in connection.execute(columns.with_for_update()).all():
            if not _are_current((row.secret, row.old_secret), seals):
                renewed = {
                    name: stored and seals.renewed(stored, row.webhook_id)
                    for name, stored in (("secret", row.secret), ("old_secret", row.old_secret))
                }
                _set(connection, row.webhook_id, **renewed)


def _are_current(stored: Sequence[str | None], seals: Seals) -> bool:
    return all(not each or seals.is_current(each) for each in stored)


def _webhook(connection: Connection, tenant_id: TenantId, webhook_id: str, seals: Seals) -> Webhook:
    statement = select(schema.webhooks).where(_webhooks.webhook_id == webhook_id)
    row = connection.execute(statement).one_or_none()
    if row is None or row.tenant_id != tenant_id:
        raise WebhookNotFound(tenant_id, webhook_id)
    return _webhook_of(row, seals)


def _row_of(webhook: Webhook, seals: Seals) -> dict[str, Any]:
    last = webhook.last_attempt
    row = {**asdict(webhook), "kinds": dump_names(frozenset(webhook.kinds))}
    del row["last_attempt"]
    return {
        **row,
        "secret": seals.seal(webhook.secret, webhook.webhook_id),
        "old_secret": webhook.old_secret and seals.seal(webhook.old_secret, webhook.webhook_id),
        "state": webhook.state.value,
        "last_at": last and last.at,
        "last_status": last and last.status,
        "last_error": last and last.error,
        "claimed_until": 0.0,
    }


def _webhook_of(row: Row[Any], seals: Seals) -> Webhook:
    last = Attempt(at=row.last_at, status=row.last_status, error=row.last_error)
    return Webhook(
        webhook_id=row.webhook_id,
        tenant_id=TenantId(row.tenant_id),
        url=row.url,
        kinds=frozenset(map(WebhookKind, load_names(row.kinds))),
        description=row.description,
        secret=seals.open(row.secret, row.webhook_id),
        created_at=row.created_at,
        old_secret=row.old_secret and seals.open(row.old_secret, row.webhook_id),
        old_secret_until=row.old_secret_until,
        state=WebhookState(row.state),
        last_attempt=None if row.last_at is None else last,
        last_success_at=row.last_success_at,
        due_at=row.due_at,
    )
