"""Jobs in SQL."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, literal, select, update

from cluster.domain.audit import Act
from cluster.domain.ids import JobId, ModelName, TenantId
from cluster.domain.jobs import IdempotencyKey, Job, JobEvent, JobState
from cluster.errors import IdempotencyMismatch, JobNotFound, StaleRevision
from cluster.stores.sql import schema
from cluster.stores.sql.audit import note
from cluster.stores.sql.codec import AMENDMENT, CERTIFICATE, JOB_SPEC, PROGRESS, dump
from cluster.stores.sql.dialect import insert_if_new, one_writer
from cluster.stores.sql.engine import Database
from cluster.stores.sql.events import add_events
from cluster.tenant_errors import QuotaExceeded

_jobs, _keys = schema.jobs.c, schema.idempotency_keys.c
_BY_ID = select(schema.jobs).where(_jobs.job_id == bindparam("job_id"))
"""Made once: building it anew takes longer than running it."""


class SqlJobs:
    """A `JobStore` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        job: Job,
        idempotency: IdempotencyKey | None,
        unfinished_max: int | None = None,
        act: Act | None = None,
        events: Sequence[JobEvent] = (),
    ) -> Job:
        """Store a new job, or return the one first stored under the same key."""
        with self._database.writing("create job") as connection:
            if idempotency is not None:
                first = _claim(connection, job, idempotency)
                if first is not None:
                    return _load(connection, first)
            if unfinished_max is not None:
                _check_room(connection, job.tenant_id, unfinished_max)
            if not insert_if_new(connection, schema.jobs, _row_of(job)):
                raise StaleRevision(f"job {job.job_id}", job.revision)
            add_events(connection, events, job.state)
            note(connection, act)
        return job

    def find(self, tenant_id: TenantId, idempotency: IdempotencyKey) -> Job | None:
        """Return the job first stored under a tenant's key, None where the key is new."""
        with self._database.reading() as connection:
            first = _first_under(connection, tenant_id, idempotency)
            return None if first is None else _load(connection, first)

    def get(self, tenant_id: TenantId, job_id: JobId) -> Job:
        """Return a tenant's job; raises JobNotFound for another tenant's as for an unknown one."""
        job = self.load(job_id)
        if job.tenant_id != tenant_id:
            raise JobNotFound(job_id)
        return job

    def load(self, job_id: JobId) -> Job:
        """Return a job, whoever owns it; raises JobNotFound."""
        with self._database.reading() as connection:
            return _load(connection, job_id)

    def page(self, tenant_id: TenantId, after: JobId | None, limit: int) -> tuple[Job, ...]:
        """Return up to `limit` of a tenant's jobs, newest first, that come after `after`."""
        statement = select(schema.jobs).where(_jobs.tenant_id == tenant_id)
        if after is not None:
            statement = statement.where(_jobs.job_id < after)
        statement = statement.order_by(_jobs.job_id.desc()).limit(limit)
        with self._database.reading() as connection:
            return tuple(map(job_of, connection.execute(statement)))

    def save(self, job: Job, events: Sequence[JobEvent] = (), act: Act | None = None) -> Job:
        """Store a job read at `job.revision`, with events, and return it at the next one."""
        row = _row_of(replace(job, revision=job.revision + 1))
        row["cancel_requested"] = _jobs.cancel_requested | literal(job.cancel_requested)
        statement = (
            update(schema.jobs)
            .where(_jobs.job_id == job.job_id, _jobs.revision == job.revision)
            .values(row)
            .returning(schema.jobs)
        )
        with self._database.writing("save job") as connection:
            saved = connection.execute(statement).one_or_none()
            if saved is None:
                _load(connection, job.job_id)
                raise StaleRevision(f"job {job.job_id}", job.revision)
            add_events(connection, events, job.state)
            note(connection, act)
            return job_of(saved)

    def unfinished(self) -> tuple[Job, ...]:
        """Return every job that is not in a terminal state, oldest first."""
        statement = select(schema.jobs).where(~_jobs.finished).order_by(_jobs.job_id)
        with self._database.reading() as connection:
            return tuple(map(job_of, connection.execute(statement)))


def _check_room(connection: Connection, tenant_id: TenantId, unfinished_max: int) -> None:
    one_writer(connection, f"jobs {tenant_id}")
    unfinished = select(func.count()).where(_jobs.tenant_id == tenant_id, ~_jobs.finished)
    used = int(connection.scalar(unfinished) or 0)
    if used >= unfinished_max:
        raise QuotaExceeded("jobs_unfinished", used, unfinished_max)


def _claim(connection: Connection, job: Job, idempotency: IdempotencyKey) -> JobId | None:
    """Tie the key to the job, or return the id of the job it is tied to already."""
    row = {
        "tenant_id": job.tenant_id,
        "key": idempotency.key,
        "fingerprint": idempotency.fingerprint,
        "job_id": job.job_id,
    }
    if insert_if_new(connection, schema.idempotency_keys, row):
        return None
    return _first_under(connection, job.tenant_id, idempotency)


def _first_under(
    connection: Connection, tenant_id: TenantId, idempotency: IdempotencyKey
) -> JobId | None:
    """Return the job a key is tied to, if any; raises IdempotencyMismatch."""
    first = connection.execute(
        select(_keys.fingerprint, _keys.job_id).where(
            _keys.tenant_id == tenant_id, _keys.key == idempotency.key
        )
    ).one_or_none()
    if first is None:
        return None
    if not idempotency.is_of(first.fingerprint):
        raise IdempotencyMismatch(idempotency.key)
    return JobId(first.job_id)


def _load(connection: Connection, job_id: JobId) -> Job:
    row = connection.execute(_BY_ID, {"job_id": job_id}).one_or_none()
    if row is None:
        raise JobNotFound(job_id)
    return job_of(row)


def _row_of(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "tenant_id": job.tenant_id,
        "spec": dump(JOB_SPEC, job.spec),
        "model_name": job.model_name,
        "state": job.state.value,
        "finished": job.state.is_terminal,
        "revision": job.revision,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "cancel_requested": job.cancel_requested,
        "paused": job.paused,
        "amendment": dump(AMENDMENT, job.amendment),
        "progress": dump(PROGRESS, job.progress),
        "certificate": dump(CERTIFICATE, job.certificate),
        "failure": job.failure,
        "stored_items": job.stored_items,
        "source_uri": job.spec.source.uri,
        "expires_at": job.expires_at,
    }


def job_of(row: Row[Any]) -> Job:
    """Return a job from its row."""
    return Job(
        job_id=JobId(row.job_id),
        tenant_id=TenantId(row.tenant_id),
        spec=JOB_SPEC.validate_json(row.spec),
        model_name=ModelName(row.model_name),
        state=JobState(row.state),
        revision=row.revision,
        created_at=row.created_at,
        updated_at=row.updated_at,
        cancel_requested=row.cancel_requested,
        paused=row.paused,
        amendment=AMENDMENT.validate_json(row.amendment),
        progress=PROGRESS.validate_json(row.progress),
        certificate=CERTIFICATE.validate_json(row.certificate),
        failure=row.failure,
        expires_at=row.expires_at,
    )
