"""The history of model lines in SQL, and what online requests showed of their versions."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, insert, select, update

from cluster.domain.audit import Act
from cluster.domain.ids import ModelName
from cluster.domain.jobs import JobEvent
from cluster.domain.lines import LineStep, Stage, Traffic
from cluster.errors import ModelNotFound, StaleRevision
from cluster.stores.sql import schema
from cluster.stores.sql.audit import note
from cluster.stores.sql.dialect import insert_if_new, insert_or_add
from cluster.stores.sql.engine import Database
from cluster.stores.sql.events import add_events

_models, _live = schema.models.c, schema.live_models.c
_steps, _traffic = schema.line_steps.c, schema.model_traffic.c


class SqlLines:
    """`ModelLines` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standing(self, name: ModelName) -> LineStep:
        """Return a line's newest step; raises ModelNotFound where it has none."""
        newest = _newest_first(name).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(newest).mappings().one_or_none()
        if row is None:
            raise ModelNotFound(name)
        return _step_of(row)

    def take(self, step: LineStep, events: Sequence[JobEvent] = (), act: Act | None = None) -> None:
        """Add the next step of a line, and events to the histories of jobs with it, all or none."""
        with self._database.writing("take a step of a model line") as connection:
            _require_version(connection, step)
            if not _set(connection, step):
                raise StaleRevision(f"the line of model {step.name}", step.revision - 1)
            row = {**asdict(step), "stage": step.stage.value}
            connection.execute(insert(schema.line_steps), row)
            add_events(connection, events, None)
            note(connection, act)

    def history(self, name: ModelName, before: int | None, limit: int) -> tuple[LineStep, ...]:
        """Return up to `limit` steps of a line, newest first, of revisions below `before`."""
        statement = _newest_first(name).limit(limit)
        if before is not None:
            statement = statement.where(_steps.revision < before)
        with self._database.reading() as connection:
            return tuple(map(_step_of, connection.execute(statement).mappings()))

    def came_live(self, name: ModelName, version: int) -> LineStep:
        """Return the newest step by which a version became live; raises ModelNotFound."""
        entered = _newest_first(name).where(
            _steps.version == version, _steps.stage == Stage.LIVE.value
        )
        with self._database.reading() as connection:
            row = connection.execute(entered.limit(1)).mappings().one_or_none()
        if row is None:
            raise ModelNotFound(name, version)
        return _step_of(row)

    def trials(self) -> tuple[LineStep, ...]:
        """Return the newest step of every line that has a version on trial, by name."""
        newest = and_(_steps.name == _live.name, _steps.revision == _live.revision)
        statement = (
            select(schema.line_steps).join(schema.live_models, newest).where(_live.candidate >= 0)
        )
        with self._database.reading() as connection:
            found = [_step_of(row) for row in connection.execute(statement).mappings()]
        return tuple(sorted(found, key=_name_of))


class SqlTraffic:
    """A `TrafficStore` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, seen: Sequence[Traffic]) -> None:
        """Add to what is stored of each version in its stage."""
        with self._database.writing("add model traffic") as connection:
            for each in sorted(seen, key=_place):
                row = {**asdict(each), "stage": each.stage.value}
                insert_or_add(connection, schema.model_traffic, row, newest="last_at")

    def of(self, name: ModelName) -> tuple[Traffic, ...]:
        """Return what is stored of a line's versions, by version and stage."""
        statement = (
            select(schema.model_traffic)
            .where(_traffic.name == name)
            .order_by(_traffic.version, _traffic.stage)
        )
        with self._database.reading() as connection:
            return tuple(map(_traffic_of, connection.execute(statement).mappings()))


def _newest_first(name: ModelName) -> Select[Any]:
    return select(schema.line_steps).where(_steps.name == name).order_by(_steps.revision.desc())


def _require_version(connection: Connection, step: LineStep) -> None:
    for version in (step.version, step.live):
        found = select(_models.version).where(_models.name == step.name, _models.version == version)
        if connection.scalar(found) is None:
            raise ModelNotFound(step.name, version)


def _set(connection: Connection, step: LineStep) -> bool:
    """Compare and set how a line stands in one statement; return whether it was set."""
    values = {"version": step.live, "revision": step.revision, "candidate": step.candidate}
    if step.revision == 1:
        return insert_if_new(connection, schema.live_models, {"name": step.name, **values})
    before = and_(_live.name == step.name, _live.revision == step.revision - 1)
    return connection.execute(update(schema.live_models).where(before).values(values)).rowcount == 1


def _place(seen: Traffic) -> tuple[str, int, str]:
    return seen.name, seen.version, seen.stage


def _name_of(step: LineStep) -> ModelName:
    return step.name


def _step_of(row: RowMapping) -> LineStep:
    return LineStep(**{**row, "stage": Stage(row["stage"])})


def _traffic_of(row: RowMapping) -> Traffic:
    return Traffic(**{**row, "stage": Stage(row["stage"])})
