"""What a job has in the object store, in SQL: chunks, their pre-labels, result segments."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, insert, select

from cluster.domain.ids import JobId, Position
from cluster.domain.items import Chunk, ChunkPrediction
from cluster.domain.results import ResultSegment
from cluster.errors import StaleRevision
from cluster.stores.sql import schema
from cluster.stores.sql.dialect import insert_new, insert_or_raise_version, one_writer
from cluster.stores.sql.engine import Database

_segments = schema.segments.c


class SqlChunks:
    """A `ChunkLedger` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, chunks: Sequence[Chunk]) -> None:
        """Record chunks; recording one (job, number) again changes nothing."""
        with self._database.writing("add chunks") as connection:
            insert_new(connection, schema.chunks, [asdict(chunk) for chunk in chunks])

    def chunks(self, job_id: JobId) -> tuple[Chunk, ...]:
        """Return a job's chunks by number."""
        table = schema.chunks
        statement = select(table).where(table.c.job_id == job_id).order_by(table.c.number)
        with self._database.reading() as connection:
            return tuple(Chunk(**row) for row in connection.execute(statement).mappings())

    def holding(self, job_id: JobId, position: Position) -> Chunk | None:
        """Return the chunk that holds an item, at a cost that does not grow with the job."""
        table = schema.chunks
        statement = (
            select(table)
            .where(table.c.job_id == job_id, table.c.first_position <= position)
            .order_by(table.c.first_position.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        chunk = None if row is None else Chunk(**row)
        return chunk if chunk is not None and position in chunk.positions else None

    def set_predicted(self, predictions: Sequence[ChunkPrediction]) -> None:
        """Point chunks at predictions; one chosen earlier in the line's history replaces none."""
        rows = [asdict(prediction) for prediction in predictions]
        with self._database.writing("set predicted") as connection:
            insert_or_raise_version(connection, schema.predictions, rows, "line_revision")

    def predictions(self, job_id: JobId) -> tuple[ChunkPrediction, ...]:
        """Return the newest prediction of each pre-labelled chunk, by chunk number."""
        table = schema.predictions
        statement = select(table).where(table.c.job_id == job_id).order_by(table.c.number)
        with self._database.reading() as connection:
            rows = connection.execute(statement).mappings()
            return tuple(ChunkPrediction(**row) for row in rows)


class SqlResults:
    """A `ResultLog` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, segment: ResultSegment) -> None:
        """Add the next segment; raises StaleRevision unless `number` and `first_row` continue."""
        newest = (
            select(_segments.number, _segments.end_row)
            .where(_segments.job_id == segment.job_id)
            .order_by(_segments.number.desc())
            .limit(1)
        )
        with self._database.writing("append results") as connection:
            one_writer(connection, f"results {segment.job_id}")
            last = connection.execute(newest).one_or_none()
            expected = (0, 0) if last is None else (last.number + 1, last.end_row)
            if (segment.number, segment.first_row) != expected:
                raise StaleRevision(f"the results of job {segment.job_id}", segment.number)
            connection.execute(insert(schema.segments), _row_of(segment))

    def segments(self, job_id: JobId, from_row: int, limit: int) -> tuple[ResultSegment, ...]:
        """Return up to `limit` segments that hold rows from `from_row` on, in order."""
        statement = (
            select(schema.segments)
            .where(
                _segments.job_id == job_id,
                _segments.end_row > from_row,
                _segments.end_row > _segments.first_row,
            )
            .order_by(_segments.end_row)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple(map(_segment_of, connection.execute(statement)))

    def before(self, job_id: JobId, number: int | None, limit: int) -> tuple[ResultSegment, ...]:
        """Return up to `limit` segments, newest first, of those before `number` where given."""
        statement = select(schema.segments).where(_segments.job_id == job_id)
        if number is not None:
            statement = statement.where(_segments.number < number)
        newest_first = statement.order_by(_segments.number.desc()).limit(limit)
        with self._database.reading() as connection:
            return tuple(map(_segment_of, connection.execute(newest_first)))


def _row_of(segment: ResultSegment) -> dict[str, Any]:
    return {
        "job_id": segment.job_id,
        "number": segment.number,
        "first_row": segment.first_row,
        "end_row": segment.first_row + segment.rows,
        "path": segment.path,
    }


def _segment_of(row: Row[Any]) -> ResultSegment:
    return ResultSegment(
        job_id=JobId(row.job_id),
        number=row.number,
        first_row=row.first_row,
        rows=row.end_row - row.first_row,
        path=row.path,
    )
