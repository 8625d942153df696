"""The answer log in SQL: fenced bulk inserts, and reads straight into columns.

An answer's `seq` counts from 1 within its job and is given out inside the append's transaction,
past `one_writer`, so numbers become visible in order and without gaps. The same transaction adds
to the totals of the workers, so that these never disagree with the answers. An append is four
statements, however many its answers and workers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Select,
    bindparam,
    case,
    func,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from cluster.domain.ids import JobId, Position, WorkerId
from cluster.domain.work import AnswerColumns, Partition, WorkerTotals
from cluster.errors import AlreadyAnswered, StaleEpoch
from cluster.stores.fencing import check_within
from cluster.stores.sql import schema
from cluster.stores.sql.bulk import Column, insert_columns
from cluster.stores.sql.dialect import insert_or_change_from, one_writer, raw_rows
from cluster.stores.sql.engine import Database
from cluster.stores.sql.names import KnownRefs, batches, known_refs, names_of, ref_of

_answers, _partitions, _totals = schema.answers.c, schema.partitions.c, schema.worker_totals.c
_names = schema.names.c

_ROW = np.dtype(
    [
        ("seq", np.int64),
        ("position", np.int64),
        ("worker_ref", np.int64),
        ("label", np.int16),
        ("audit", np.bool_),
        ("price", np.float64),
        ("answered_at", np.float64),
        ("duration_s", np.float64),
    ]
)


class SqlAnswers:
    """An `AnswerLog` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._refs = KnownRefs(database.dialect)
        self._fence, self._count = _fence(), _count(database.dialect)

    def append(self, fence: Partition, answers: AnswerColumns) -> int:
        """Store answers of one partition, all or none; return the job's highest number then."""
        check_within(fence, answers)
        try:
            with self._database.writing("append answers") as connection:
                one_writer(connection, f"answers {fence.job_id}")
                newest = self._newest(connection, fence)
                refs = self._refs.find(connection, [fence.job_id, *answers.worker_ids])
                if len(answers):
                    columns = _columns(answers, newest, refs[fence.job_id], refs)
                    insert_columns(connection, schema.answers, columns)
                    new = {"job_ref": refs[fence.job_id], "newest": newest}
                    connection.execute(self._count, new)
        except IntegrityError:
            with self._database.reading() as connection:
                _raise_already_answered(connection, fence.job_id, answers)
            raise
        self._refs.keep(refs)
        return newest + len(answers)

    def read(self, job_id: JobId, after_seq: int, limit: int) -> AnswerColumns:
        """Return up to `limit` answers numbered above `after_seq`; numbers rise within a job."""
        statement = (
            select(*(_answers[name] for name in _ROW.names or ()))
            .where(_answers.job_ref == ref_of(job_id), _answers.seq > after_seq)
            .order_by(_answers.seq)
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = np.fromiter(raw_rows(connection, statement), dtype=_ROW)
            refs, workers = np.unique(rows["worker_ref"], return_inverse=True)
            names = names_of(connection, refs.tolist())
        return AnswerColumns(
            seq=rows["seq"].copy(),
            positions=rows["position"].copy(),
            workers=workers.astype(np.int32),
            labels=rows["label"].copy(),
            audit=rows["audit"].copy(),
            prices=rows["price"].copy(),
            answered_at=rows["answered_at"].copy(),
            durations_s=rows["duration_s"].copy(),
            worker_ids=tuple(map(WorkerId, names)),
        )

    def find(
        self, job_id: JobId, slots: Sequence[tuple[Position, WorkerId]]
    ) -> tuple[int | None, ...]:
        """Return the label code stored for each item and worker, None where there is none."""
        with self._database.reading() as connection:
            stored = _stored_labels(connection, job_id, slots)
        return tuple(map(stored.get, slots))

    def totals(self, worker_id: WorkerId) -> WorkerTotals:
        """Return what a worker has given so far."""
        statement = select(*(_totals[each.name] for each in fields(WorkerTotals))).where(
            _totals.worker_ref == ref_of(worker_id)
        )
        with self._database.reading() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return WorkerTotals() if row is None else WorkerTotals(**row)

    def _newest(self, connection: Connection, fence: Partition) -> int:
        """Return the highest number of a job's answers; raises StaleEpoch for a fence of old.

        The fence stays the newest while the transaction runs.
        """
        asked = {"job_id": fence.job_id, "number": fence.number}
        found = connection.execute(self._fence, asked).one_or_none()
        if found is None or found.epoch != fence.epoch:
            raise StaleEpoch(fence.job_id, fence.number, fence.epoch)
        newest: int = found.newest
        return newest


def _columns(
    answers: AnswerColumns, newest: int, job_ref: int, refs: Mapping[str, int]
) -> dict[str, Column]:
    """Return the columns of the table, numbered above `newest`."""
    workers = np.array([refs[worker_id] for worker_id in answers.worker_ids], dtype=np.int64)
    return {
        "job_ref": np.full(len(answers), job_ref, dtype=np.int64),
        "seq": np.arange(newest + 1, newest + 1 + len(answers), dtype=np.int64),
        "position": answers.positions,
        "worker_ref": workers[answers.workers],
        "label": answers.labels,
        "audit": answers.audit,
        "price": answers.prices,
        "answered_at": answers.answered_at,
        "duration_s": answers.durations_s,
    }


def _raise_already_answered(connection: Connection, job_id: JobId, answers: AnswerColumns) -> None:
    """Raise AlreadyAnswered for the first answer that is stored, or comes twice."""
    slots = [
        (position, answers.worker_ids[worker])
        for position, worker in zip(answers.positions.tolist(), answers.workers, strict=True)
    ]
    stored = _stored_labels(connection, job_id, slots)
    seen: set[tuple[Position, WorkerId]] = set()
    for slot in slots:
        if slot in seen or slot in stored:
            raise AlreadyAnswered(job_id, *slot)
        seen.add(slot)


def _stored_labels(
    connection: Connection, job_id: JobId, slots: Sequence[tuple[Position, WorkerId]]
) -> dict[tuple[Position, WorkerId], int]:
    """Return the label codes that are stored, by item and worker."""
    refs = known_refs(connection, [job_id, *sorted({worker_id for _, worker_id in slots})])
    if job_id not in refs:
        return {}
    wanted = {(position, refs[worker_id]) for position, worker_id in slots if worker_id in refs}
    names_by_ref = {ref: name for name, ref in refs.items()}
    found: dict[tuple[Position, WorkerId], int] = {}
    # By item alone, which is an index's next column: an item has few answers, a job many.
    for some in batches(sorted({position for position, _ in wanted})):
        statement = select(_answers.position, _answers.worker_ref, _answers.label).where(
            _answers.job_ref == refs[job_id], _answers.position.in_(some)
        )
        for position, ref, label in raw_rows(connection, statement):
            if (position, ref) in wanted:
                found[position, WorkerId(names_by_ref[ref])] = label
    return found


def _fence() -> Select[tuple[int, int]]:
    """Ask for a partition's epoch, which is held, and the highest number of its job's answers."""
    newest = select(func.coalesce(func.max(_answers.seq), 0)).where(
        _answers.job_ref
        == select(_names.ref).where(_names.name == bindparam("job_id")).scalar_subquery()
    )
    return (
        select(_partitions.epoch, newest.scalar_subquery().label("newest"))
        .where(_partitions.job_id == bindparam("job_id"), _partitions.number == bindparam("number"))
        .with_for_update(read=True, of=schema.partitions)
    )


def _count(dialect: str) -> Insert:
    """Add to the totals of workers what a job's answers numbered above `newest` come to.

    In the order of the workers, so that two appends never wait for each other.
    """
    given = (
        select(
            _answers.worker_ref,
            func.count(),
            func.sum(_answers.price),
            func.min(_answers.answered_at),
            func.max(_answers.answered_at),
        )
        .where(_answers.job_ref == bindparam("job_ref"), _answers.seq > bindparam("newest"))
        .group_by(_answers.worker_ref)
        .order_by(_answers.worker_ref)
    )
    return insert_or_change_from(dialect, schema.worker_totals, given, _added)


def _added(more: ReadOnlyColumnCollection[str, Any]) -> Mapping[str, ColumnElement[Any]]:
    """Return stored totals with these added."""
    first, last = _totals.first_answered_at, _totals.last_answered_at
    return {
        "answers": _totals.answers + more.answers,
        "earned": _totals.earned + more.earned,
        "first_answered_at": case(
            (first < more.first_answered_at, first), else_=more.first_answered_at
        ),
        "last_answered_at": case((last > more.last_answered_at, last), else_=more.last_answered_at),
    }
