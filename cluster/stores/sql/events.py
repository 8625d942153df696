"""The events of jobs in SQL."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, insert, select

from cluster.domain.ids import JobId
from cluster.domain.jobs import JobEvent, JobState
from cluster.domain.webhooks import Notice, WebhookKind, kind_of
from cluster.stores.sql import schema
from cluster.stores.sql.codec import dump_figures, load_figures
from cluster.stores.sql.dialect import one_writer
from cluster.stores.sql.engine import Database

_events, _notices = schema.events.c, schema.notices.c


class SqlEvents:
    """An `EventLog` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, events: Sequence[JobEvent]) -> None:
        """Store events; each gets the next number of its job."""
        if not events:
            return
        with self._database.writing("append events") as connection:
            add_events(connection, events, None)

    def read(self, job_id: JobId, after_seq: int, limit: int) -> tuple[JobEvent, ...]:
        """Return up to `limit` events numbered above `after_seq`, in order."""
        statement = (
            select(schema.events)
            .where(_events.job_id == job_id, _events.seq > after_seq)
            .order_by(_events.seq)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple(map(_event_of, connection.execute(statement)))

    def newest(self, job_id: JobId) -> int:
        """Return the number of a job's newest event, 0 where there is none."""
        with self._database.reading() as connection:
            return _newest_seq(connection, job_id)

    def notices(self, limit: int) -> tuple[Notice, ...]:
        """Return up to `limit` events that webhooks may tell of and that were not dropped yet."""
        statement = (
            select(_notices.webhook_kind, schema.events)
            .join(
                schema.events,
                and_(_events.job_id == _notices.job_id, _events.seq == _notices.seq),
            )
            .order_by(_notices.job_id, _notices.seq)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple(
                Notice(kind=WebhookKind(row.webhook_kind), event=_event_of(row))
                for row in connection.execute(statement)
            )

    def drop_notices(self, notices: Sequence[Notice]) -> None:
        """Forget notices; the events stay."""
        if not notices:
            return
        one = delete(schema.notices).where(
            _notices.job_id == bindparam("of_job"), _notices.seq == bindparam("at_seq")
        )
        rows = [{"of_job": each.event.job_id, "at_seq": each.event.seq} for each in notices]
        with self._database.writing("drop notices") as connection:
            connection.execute(one, rows)


def add_events(connection: Connection, events: Sequence[JobEvent], state: JobState | None) -> None:
    """Add events to the histories of their jobs, and a notice of each that webhooks may tell of."""
    numbers = {
        job_id: count(_next_seq(connection, job_id))
        for job_id in sorted({event.job_id for event in events})
    }
    rows, notices = [], []
    for event in events:
        seq = next(numbers[event.job_id])
        rows.append(_row_of(event, seq))
        kind = kind_of(event, state)
        if kind is not None:
            notices.append({"job_id": event.job_id, "seq": seq, "webhook_kind": kind.value})
    if rows:
        connection.execute(insert(schema.events), rows)
    if notices:
        connection.execute(insert(schema.notices), notices)


def _next_seq(connection: Connection, job_id: JobId) -> int:
    one_writer(connection, f"events {job_id}")
    return _newest_seq(connection, job_id) + 1


def _newest_seq(connection: Connection, job_id: JobId) -> int:
    newest = connection.scalar(select(func.max(_events.seq)).where(_events.job_id == job_id))
    return int(newest or 0)


def _row_of(event: JobEvent, seq: int) -> dict[str, Any]:
    return {
        "job_id": event.job_id,
        "seq": seq,
        "kind": event.kind,
        "at": event.at,
        "message": event.message,
        "figures": dump_figures(event.figures),
    }


def _event_of(row: Row[Any]) -> JobEvent:
    return JobEvent(
        job_id=JobId(row.job_id),
        kind=row.kind,
        at=row.at,
        message=row.message,
        figures=load_figures(row.figures),
        seq=row.seq,
    )
