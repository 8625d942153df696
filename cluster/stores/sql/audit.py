"""The audit log in SQL: one chain, whose entries are written with the acts they tell of."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select

from cluster.audit import chained
from cluster.domain.audit import EMPTY, Act, AuditEntry, Head
from cluster.domain.ids import TenantId
from cluster.stores.sql import schema
from cluster.stores.sql.dialect import one_writer
from cluster.stores.sql.engine import Database

_audit = schema.audit_log.c
_HEAD = select(_audit.seq, _audit.sha256).order_by(_audit.seq.desc()).limit(1)


class SqlAudit:
    """An `AuditLog` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, act: Act) -> AuditEntry:
        """Record an act and return its entry."""
        with self._database.writing("record act") as connection:
            return _append(connection, act)

    def read(self, after_seq: int, limit: int) -> tuple[AuditEntry, ...]:
        """Return up to `limit` entries numbered above `after_seq`, in order."""
        statement = (
            select(schema.audit_log).where(_audit.seq > after_seq).order_by(_audit.seq).limit(limit)
        )
        with self._database.reading() as connection:
            return tuple(map(_entry_of, connection.execute(statement).mappings()))


def note(connection: Connection, act: Act | None) -> None:
    """Record an act, if there is one, in the transaction that does it.

    It comes last there, for until its end no other act is recorded.
    """
    if act is not None:
        _append(connection, act)


def _append(connection: Connection, act: Act) -> AuditEntry:
    one_writer(connection, "audit")
    row = connection.execute(_HEAD).one_or_none()
    entry = chained(act, EMPTY if row is None else Head(row.seq, row.sha256))
    connection.execute(insert(schema.audit_log), _row_of(entry))
    return entry


def _row_of(entry: AuditEntry) -> Mapping[str, Any]:
    act = entry.act
    return {
        "seq": entry.seq,
        "at": act.at,
        "tenant_id": act.tenant_id,
        "actor": act.actor,
        "action": act.action,
        "subject": act.subject,
        "request_id": act.request_id,
        "details_sha256": act.details_sha256,
        "previous_sha256": entry.previous_sha256,
        "sha256": entry.sha256,
    }


def _entry_of(row: RowMapping) -> AuditEntry:
    act = Act(
        at=row["at"],
        tenant_id=TenantId(row["tenant_id"]),
        actor=row["actor"],
        action=row["action"],
        subject=row["subject"],
        request_id=row["request_id"],
        details_sha256=row["details_sha256"],
    )
    return AuditEntry(
        seq=row["seq"], act=act, previous_sha256=row["previous_sha256"], sha256=row["sha256"]
    )
