"""The service's database, read from outside and never written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter
from sqlalchemy import NullPool, create_engine, text

from cluster.domain.jobs import JobState, Progress

_PROGRESS = TypeAdapter(Progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A job as stored; `chunks` and `predicted` count rows of the chunk ledger."""

    state: JobState
    revision: int
    progress: Progress
    failure: str | None
    chunks: int
    predicted: int

    def has_gone_on(self, since: Self) -> bool:
        """Whether the job has done something more: a state, a chunk, or an answer counted."""
        return (
            self.state is not since.state
            or self.chunks > since.chunks
            or self.predicted > since.predicted
            or self.progress.answers > since.progress.answers
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A partition of a job and who owns it since which epoch."""

    number: int
    first_position: int
    items: int
    shard_id: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """A row of the answer log; `label` is a code of the job's label set."""

    position: int
    worker_id: str
    label: int


class Book:
    """Reads one job's rows; every call sees what is committed at its time.

    Where the server is away calls raise SQLAlchemy's DBAPIError.
    """

    def __init__(self, url: str, job_id: str) -> None:
        self._engine, self._job_id = create_engine(url, poolclass=NullPool), job_id

    def standing(self) -> Standing:
        """Return where the job stands."""
        (row,) = self._rows(
            "SELECT state, revision, progress, failure,"
            " (SELECT count(*) FROM chunks WHERE job_id = :job),"
            " (SELECT count(*) FROM predictions WHERE job_id = :job)"
            " FROM jobs WHERE job_id = :job"
        )
        return Standing(
            state=JobState(row[0]),
            revision=row[1],
            progress=_PROGRESS.validate_json(row[2]),
            failure=row[3],
            chunks=row[4],
            predicted=row[5],
        )

    def predictions(self) -> tuple[str, ...]:
        """Return the objects of the chunks that are pre-labelled."""
        rows = self._rows("SELECT predictions_path FROM predictions WHERE job_id = :job")
        return tuple(row[0] for row in rows)

    def partitions(self) -> tuple[Owned, ...]:
        """Return the job's partitions by number."""
        rows = self._rows(
            "SELECT number, first_position, items, shard_id, epoch FROM partitions"
            " WHERE job_id = :job ORDER BY number"
        )
        return tuple(
            Owned(number=row[0], first_position=row[1], items=row[2], shard_id=row[3], epoch=row[4])
            for row in rows
        )

    def answers(self) -> tuple[StoredAnswer, ...]:
        """Return the whole answer log of the job, in order."""
        rows = self._rows(
            "SELECT position, worker.name, label FROM answers"
            " JOIN names AS job ON job.ref = job_ref"
            " JOIN names AS worker ON worker.ref = worker_ref"
            " WHERE job.name = :job ORDER BY seq"
        )
        return tuple(StoredAnswer(position=row[0], worker_id=row[1], label=row[2]) for row in rows)

    def _rows(self, query: str) -> Sequence[Any]:
        with self._engine.connect() as connection:
            return connection.execute(text(query), {"job": self._job_id}).fetchall()


def sqlite_url(data_dir: Path) -> str:
    """Return the address of a service's SQLite database, opened for reading alone."""
    return f"sqlite:///file:{data_dir / 'muster.db'}?mode=ro&uri=true"
