"""Workers and API keys in SQL."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping, bindparam, select, update

from cluster.domain.access import KeyRecord
from cluster.domain.audit import Act
from cluster.domain.ids import KeyId, WorkerId
from cluster.domain.work import WorkerProfile
from cluster.errors import WorkerNotFound
from cluster.stores.sql import schema
from cluster.stores.sql.audit import note
from cluster.stores.sql.codec import dump_names, load_names
from cluster.stores.sql.dialect import insert_if_new
from cluster.stores.sql.engine import Database

_workers, _keys = schema.workers.c, schema.keys.c
_KEY_BY_ID = select(schema.keys).where(_keys.key_id == bindparam("key_id"))
"""Made once: it is asked for with every request."""


class SqlWorkers:
    """A `WorkerStore` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, profile: WorkerProfile, act: Act | None = None) -> None:
        """Store a new worker; storing the same id again replaces nothing."""
        row = {**asdict(profile), "skills": dump_names(profile.skills)}
        with self._database.writing("add worker") as connection:
            insert_if_new(connection, schema.workers, row)
            note(connection, act)

    def get(self, worker_id: WorkerId) -> WorkerProfile:
        """Return a worker; raises WorkerNotFound."""
        statement = select(schema.workers).where(_workers.worker_id == worker_id)
        with self._database.reading() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        if row is None:
            raise WorkerNotFound(worker_id)
        return _profile_of(row)

    def page(self, after: WorkerId | None, limit: int) -> tuple[WorkerProfile, ...]:
        """Return up to `limit` workers by id that come after `after`."""
        statement = select(schema.workers).order_by(_workers.worker_id).limit(limit)
        if after is not None:
            statement = statement.where(_workers.worker_id > after)
        with self._database.reading() as connection:
            return tuple(map(_profile_of, connection.execute(statement).mappings()))

    def set_paused(self, worker_id: WorkerId, *, paused: bool) -> None:
        """Stop or resume giving work to a worker; raises WorkerNotFound."""
        statement = update(schema.workers).where(_workers.worker_id == worker_id)
        with self._database.writing("pause worker") as connection:
            if connection.execute(statement.values(paused=paused)).rowcount == 0:
                raise WorkerNotFound(worker_id)


class SqlKeys:
    """A `KeyStore` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: KeyRecord, act: Act | None = None) -> None:
        """Store a key; storing the same key id again replaces nothing."""
        row = {**asdict(record), "clearances": dump_names(record.clearances)}
        with self._database.writing("add key") as connection:
            insert_if_new(connection, schema.keys, row)
            note(connection, act)

    def find(self, key_id: KeyId) -> KeyRecord | None:
        """Return a key by its public id."""
        with self._database.reading() as connection:
            row = connection.execute(_KEY_BY_ID, {"key_id": key_id}).mappings().one_or_none()
        return None if row is None else _record_of(row)

    def revoke(self, key_id: KeyId, act: Act | None = None) -> None:
        """Make a key useless from now on; revoking an unknown one changes nothing."""
        statement = update(schema.keys).where(_keys.key_id == key_id).values(revoked=True)
        with self._database.writing("revoke key") as connection:
            connection.execute(statement)
            note(connection, act)


def _profile_of(row: RowMapping) -> WorkerProfile:
    columns: dict[str, Any] = {**row, "skills": load_names(row["skills"])}
    return WorkerProfile(**columns)


def _record_of(row: RowMapping) -> KeyRecord:
    columns: dict[str, Any] = {**row, "clearances": load_names(row["clearances"])}
    return KeyRecord(**columns)
