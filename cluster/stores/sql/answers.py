"""The answer log in SQL: fenced bulk inserts, and reads straight into columns.

An answer's `seq` counts from 1 within its job and is given out inside the append's transaction,
past `one_writer`, so numbers become visible in order and without gaps. The same transaction adds
to the totals of the workers, so that these never disagree with the answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, case, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from cluster.domain.ids import JobId, WorkerId
from cluster.domain.work import Answer, AnswerColumns, Partition, WorkerTotals
from cluster.errors import AlreadyAnswered, StaleEpoch
from cluster.stores.fencing import check_within
from cluster.stores.sql import schema
from cluster.stores.sql.dialect import insert_many, insert_or_change, one_writer, raw_rows
from cluster.stores.sql.engine import Database
from cluster.stores.sql.names import names_of, ref_of, refs_of

_answers, _partitions, _totals = schema.answers.c, schema.partitions.c, schema.worker_totals.c

_COLUMNS = np.dtype(
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

    def append(self, fence: Partition, answers: Sequence[Answer]) -> None:
        """Store answers of one partition, all or none, if `fence.epoch` is the newest."""
        check_within(fence, answers)
        try:
            with self._database.writing("append answers") as connection:
                one_writer(connection, f"answers {fence.job_id}")
                _check_epoch(connection, fence)
                if answers:
                    _insert(connection, fence.job_id, answers)
        except IntegrityError:
            with self._database.reading() as connection:
                _raise_already_answered(connection, answers)
            raise

    def read(self, job_id: JobId, after_seq: int, limit: int) -> AnswerColumns:
        """Return up to `limit` answers numbered above `after_seq`; numbers rise within a job."""
        statement = (
            select(*(_answers[name] for name in _COLUMNS.names or ()))
            .where(_answers.job_ref == ref_of(job_id), _answers.seq > after_seq)
            .order_by(_answers.seq)
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = np.fromiter(raw_rows(connection, statement), dtype=_COLUMNS)
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

    def totals(self, worker_id: WorkerId) -> WorkerTotals:
        """Return what a worker has given so far."""
        statement = select(*(_totals[each.name] for each in fields(WorkerTotals))).where(
            _totals.worker_ref == ref_of(worker_id)
        )
        with self._database.reading() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return WorkerTotals() if row is None else WorkerTotals(**row)


def _check_epoch(connection: Connection, fence: Partition) -> None:
    """Raise StaleEpoch unless the fence is the newest; it stays so while the transaction runs."""
    epoch = connection.scalar(
        select(_partitions.epoch)
        .where(_partitions.job_id == fence.job_id, _partitions.number == fence.number)
        .with_for_update(read=True)
    )
    if epoch != fence.epoch:
        raise StaleEpoch(fence.job_id, fence.number, fence.epoch)


def _insert(connection: Connection, job_id: JobId, answers: Sequence[Answer]) -> None:
    refs = refs_of(connection, [job_id, *(answer.worker_id for answer in answers)])
    newest = connection.scalar(
        select(func.max(_answers.seq)).where(_answers.job_ref == refs[job_id])
    )
    rows = [
        _row_of(answer, seq, refs) for seq, answer in enumerate(answers, start=(newest or 0) + 1)
    ]
    insert_many(connection, schema.answers, rows)
    more = WorkerTotals.by_worker(answers)
    # In one order everywhere, so that two appends never wait for each other.
    counted = [{"worker_ref": refs[worker], **asdict(more[worker])} for worker in sorted(more)]
    insert_or_change(connection, schema.worker_totals, counted, _added)


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


def _row_of(answer: Answer, seq: int, refs: Mapping[str, int]) -> tuple[object, ...]:
    """Return an answer in the order of the table's columns."""
    return (
        refs[answer.job_id],
        seq,
        answer.position,
        refs[answer.worker_id],
        answer.label,
        answer.purpose == "audit",
        answer.price,
        answer.answered_at,
        answer.duration_s,
    )


def _raise_already_answered(connection: Connection, answers: Sequence[Answer]) -> None:
    """Raise AlreadyAnswered for the first answer that is stored, or comes twice."""
    seen: set[tuple[int, WorkerId]] = set()
    for answer in answers:
        pair = (answer.position, answer.worker_id)
        if pair in seen or _is_stored(connection, answer):
            raise AlreadyAnswered(answer.job_id, *pair)
        seen.add(pair)


def _is_stored(connection: Connection, answer: Answer) -> bool:
    statement = select(_answers.seq).where(
        _answers.job_ref == ref_of(answer.job_id),
        _answers.position == answer.position,
        _answers.worker_ref == ref_of(answer.worker_id),
    )
    return connection.scalar(statement) is not None
