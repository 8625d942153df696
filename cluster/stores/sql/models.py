"""The model registry in SQL."""

from typing import Any

from sqlalchemy import Connection, Row, func, select

from cluster.domain.ids import ModelName
from cluster.domain.models import ModelRecord
from cluster.errors import ModelNotFound
from cluster.stores.sql import schema
from cluster.stores.sql.codec import LINEAGE, MODEL_SPEC, dump, dump_figures, load_figures
from cluster.stores.sql.dialect import insert_if_new
from cluster.stores.sql.engine import Database

_models, _live = schema.models.c, schema.live_models.c


class SqlModels:
    """A `ModelRegistry` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: ModelRecord) -> None:
        """Store a version; storing the same (name, version) again changes nothing."""
        with self._database.writing("add model") as connection:
            insert_if_new(connection, schema.models, _row_of(record))

    def get(self, name: ModelName, version: int) -> ModelRecord:
        """Return a version; raises ModelNotFound."""
        with self._database.reading() as connection:
            return _load(connection, name, version)

    def versions(self, name: ModelName) -> tuple[ModelRecord, ...]:
        """Return a line's versions, oldest first; empty for an unknown line."""
        statement = select(schema.models).where(_models.name == name).order_by(_models.version)
        with self._database.reading() as connection:
            return tuple(map(_record_of, connection.execute(statement)))

    def names(self, prefix: str, after: ModelName | None, limit: int) -> tuple[ModelName, ...]:
        """Return up to `limit` line names that begin with `prefix` and come after `after`."""
        statement = (
            select(_models.name)
            .distinct()
            .where(_models.name >= prefix, func.substr(_models.name, 1, len(prefix)) == prefix)
            .order_by(_models.name)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(_models.name > after)
        with self._database.reading() as connection:
            return tuple(map(ModelName, connection.scalars(statement)))

    def live(self, name: ModelName) -> ModelRecord:
        """Return a line's live version; raises ModelNotFound."""
        with self._database.reading() as connection:
            version = connection.scalar(select(_live.version).where(_live.name == name))
            if version is None:
                raise ModelNotFound(name)
            return _load(connection, name, version)


def _load(connection: Connection, name: ModelName, version: int) -> ModelRecord:
    statement = select(schema.models).where(_models.name == name, _models.version == version)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise ModelNotFound(name, version)
    return _record_of(row)


def _row_of(record: ModelRecord) -> dict[str, Any]:
    return {
        "name": record.spec.name,
        "version": record.spec.version,
        "spec": dump(MODEL_SPEC, record.spec),
        "lineage": dump(LINEAGE, record.lineage),
        "metrics": dump_figures(record.metrics),
        "created_at": record.created_at,
    }


def _record_of(row: Row[Any]) -> ModelRecord:
    return ModelRecord(
        spec=MODEL_SPEC.validate_json(row.spec),
        lineage=LINEAGE.validate_json(row.lineage),
        metrics=load_figures(row.metrics),
        created_at=row.created_at,
    )
