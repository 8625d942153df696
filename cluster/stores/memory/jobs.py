"""Jobs and their events in memory."""

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

from cluster.domain.audit import Act
from cluster.domain.ids import JobId, TenantId
from cluster.domain.jobs import IdempotencyKey, Job, JobEvent, JobState
from cluster.domain.webhooks import Notice, kind_of
from cluster.errors import IdempotencyMismatch, JobNotFound, StaleRevision
from cluster.stores.memory.audit import MemoryAudit
from cluster.tenant_errors import QuotaExceeded


class MemoryEvents:
    """An `EventLog` in memory."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._events: dict[JobId, list[JobEvent]] = {}
        self._notices: dict[tuple[JobId, int], Notice] = {}

    def append(self, events: Sequence[JobEvent]) -> None:
        """Store events; each gets the next number of its job."""
        self.add(events, None)

    def add(self, events: Sequence[JobEvent], state: JobState | None) -> None:
        """Store events, with the state of their job where they are stored with it."""
        with self._lock:
            for event in events:
                log = self._events.setdefault(event.job_id, [])
                log.append(replace(event, seq=len(log) + 1, figures=dict(event.figures)))
                kind = kind_of(event, state)
                if kind is not None:
                    self._notices[event.job_id, len(log)] = Notice(kind=kind, event=log[-1])

    def read(self, job_id: JobId, after_seq: int, limit: int) -> tuple[JobEvent, ...]:
        """Return up to `limit` events numbered above `after_seq`, in order."""
        with self._lock:
            return tuple(self._events.get(job_id, [])[after_seq : after_seq + limit])

    def newest(self, job_id: JobId) -> int:
        """Return the number of a job's newest event, 0 where there is none."""
        with self._lock:
            return len(self._events.get(job_id, []))

    def notices(self, limit: int) -> tuple[Notice, ...]:
        """Return up to `limit` events that webhooks may tell of and that were not dropped yet."""
        with self._lock:
            return tuple(self._notices[place] for place in sorted(self._notices)[:limit])

    def drop_notices(self, notices: Sequence[Notice]) -> None:
        """Forget notices; the events stay."""
        with self._lock:
            for notice in notices:
                self._notices.pop((notice.event.job_id, notice.event.seq), None)


class MemoryJobs:
    """A `JobStore` in memory, over the events that are stored with jobs."""

    def __init__(self, events: MemoryEvents, audit: MemoryAudit) -> None:
        self._lock, self._events, self._audit = Lock(), events, audit
        self._jobs: dict[JobId, Job] = {}
        self._first: dict[tuple[TenantId, str], tuple[str, JobId]] = {}

    def create(
        self,
        job: Job,
        idempotency: IdempotencyKey | None,
        unfinished_max: int | None = None,
        act: Act | None = None,
        events: Sequence[JobEvent] = (),
    ) -> Job:
        """Store a new job, or return the one first stored under the same key."""
        with self._lock:
            if idempotency is None:
                return self._insert(job, unfinished_max, act, events)
            scoped = (job.tenant_id, idempotency.key)
            if scoped not in self._first:
                stored = self._insert(job, unfinished_max, act, events)
                self._first[scoped] = (idempotency.fingerprint, job.job_id)
                return stored
            return self._replayed(scoped, idempotency)

    def find(self, tenant_id: TenantId, idempotency: IdempotencyKey) -> Job | None:
        """Return the job first stored under a tenant's key, None where the key is new."""
        scoped = (tenant_id, idempotency.key)
        with self._lock:
            return self._replayed(scoped, idempotency) if scoped in self._first else None

    def get(self, tenant_id: TenantId, job_id: JobId) -> Job:
        """Return a tenant's job; raises JobNotFound for another tenant's as for an unknown one."""
        job = self.load(job_id)
        if job.tenant_id != tenant_id:
            raise JobNotFound(job_id)
        return job

    def load(self, job_id: JobId) -> Job:
        """Return a job, whoever owns it; raises JobNotFound."""
        with self._lock:
            return self._stored(job_id)

    def page(self, tenant_id: TenantId, after: JobId | None, limit: int) -> tuple[Job, ...]:
        """Return up to `limit` of a tenant's jobs, newest first, that come after `after`."""
        with self._lock:
            ids = sorted(
                (
                    job.job_id
                    for job in self._jobs.values()
                    if job.tenant_id == tenant_id and (after is None or job.job_id < after)
                ),
                reverse=True,
            )
            return tuple(self._jobs[job_id] for job_id in ids[:limit])

    def save(self, job: Job, events: Sequence[JobEvent] = (), act: Act | None = None) -> Job:
        """Store a job read at `job.revision`, with events, and return it at the next one."""
        with self._lock:
            stored = self._stored(job.job_id)
            if stored.revision != job.revision:
                raise StaleRevision(f"job {job.job_id}", job.revision)
            saved = replace(
                job,
                revision=job.revision + 1,
                cancel_requested=job.cancel_requested or stored.cancel_requested,
            )
            self._jobs[job.job_id] = saved
            self._events.add(events, job.state)
            self._audit.note(act)
            return saved

    def unfinished(self) -> tuple[Job, ...]:
        """Return every job that is not in a terminal state, oldest first."""
        with self._lock:
            active = [job for job in self._jobs.values() if not job.state.is_terminal]
        return tuple(sorted(active, key=lambda job: job.job_id))

    def everything(self) -> tuple[Job, ...]:
        """Return all jobs of all tenants."""
        with self._lock:
            return tuple(self._jobs.values())

    def _insert(
        self, job: Job, unfinished_max: int | None, act: Act | None, events: Sequence[JobEvent]
    ) -> Job:
        active = [
            other
            for other in self._jobs.values()
            if other.tenant_id == job.tenant_id and not other.state.is_terminal
        ]
        if unfinished_max is not None and len(active) >= unfinished_max:
            raise QuotaExceeded("jobs_unfinished", len(active), unfinished_max)
        if job.job_id in self._jobs:
            raise StaleRevision(f"job {job.job_id}", job.revision)
        self._jobs[job.job_id] = job
        self._events.add(events, job.state)
        self._audit.note(act)
        return job

    def _replayed(self, scoped: tuple[TenantId, str], idempotency: IdempotencyKey) -> Job:
        fingerprint, job_id = self._first[scoped]
        if not idempotency.is_of(fingerprint):
            raise IdempotencyMismatch(idempotency.key)
        return self._jobs[job_id]

    def _stored(self, job_id: JobId) -> Job:
        if job_id not in self._jobs:
            raise JobNotFound(job_id)
        return self._jobs[job_id]
