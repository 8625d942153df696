"""What tenants have and may have, and what of it is to go, in memory."""

from threading import Lock

from cluster.domain.audit import Act
from cluster.domain.ids import JobId, TenantId, UnixSeconds
from cluster.domain.jobs import Job, JobState
from cluster.domain.quotas import Quotas, Usage
from cluster.domain.uploads import Upload
from cluster.stores.memory.audit import MemoryAudit
from cluster.stores.memory.jobs import MemoryJobs
from cluster.stores.memory.ledger import MemoryChunks, MemoryResults
from cluster.stores.memory.uploads import MemoryUploads


class MemoryQuotas:
    """A `QuotaStore` in memory."""

    def __init__(self, jobs: MemoryJobs, uploads: MemoryUploads, audit: MemoryAudit) -> None:
        self._jobs, self._uploads, self._audit = jobs, uploads, audit
        self._lock = Lock()
        self._exceptions: dict[TenantId, Quotas] = {}

    def usage(self, tenant_id: TenantId) -> Usage:
        """Return what a tenant has."""
        jobs = [job for job in self._jobs.everything() if job.tenant_id == tenant_id]
        return Usage(
            jobs_unfinished=sum(not job.state.is_terminal for job in jobs),
            items=sum(job.stored_items for job in jobs),
            upload_bytes=self._uploads.stored_bytes(tenant_id),
        )

    def uploads(self, tenant_id: TenantId, before: str | None, limit: int) -> tuple[Upload, ...]:
        """Return up to `limit` uploads of a tenant whose ids are before one, the last ids first."""
        found = [
            upload
            for upload in self._uploads.of_tenant(tenant_id)
            if before is None or upload.upload_id < before
        ]
        return tuple(sorted(found, key=lambda each: each.upload_id, reverse=True)[:limit])

    def exception(self, tenant_id: TenantId) -> Quotas:
        """Return how a tenant's quotas differ from everybody's."""
        with self._lock:
            return self._exceptions.get(tenant_id, Quotas())

    def set_exception(self, tenant_id: TenantId, quotas: Quotas, act: Act | None = None) -> None:
        """Let a tenant's quotas differ from everybody's, in place of how they did before."""
        with self._lock:
            self._exceptions[tenant_id] = quotas
            self._audit.note(act)


class MemoryRetention:
    """A `RetentionStore` in memory."""

    def __init__(
        self, jobs: MemoryJobs, chunks: MemoryChunks, results: MemoryResults, uploads: MemoryUploads
    ) -> None:
        self._jobs, self._chunks, self._results = jobs, chunks, results
        self._uploads = uploads

    def expiring(self, now: UnixSeconds, limit: int) -> tuple[Job, ...]:
        """Return up to `limit` jobs whose time has come, the longest due first."""
        due = [
            (job.expires_at, job.job_id, job)
            for job in self._jobs.everything()
            if job.expires_at is not None and job.expires_at <= now
        ]
        return tuple(job for _, _, job in sorted(due, key=lambda each: each[:2])[:limit])

    def is_source(self, tenant_id: TenantId, uri: str) -> bool:
        """Whether a tenant has a job from a source that has not expired."""
        return any(
            (job.tenant_id, job.spec.source.uri) == (tenant_id, uri)
            and job.state is not JobState.EXPIRED
            for job in self._jobs.everything()
        )

    def drop_contents(self, job_id: JobId) -> None:
        """Forget a job's chunks, their predictions and its results."""
        self._chunks.drop(job_id)
        self._results.drop(job_id)

    def upload(self, upload_id: str) -> Upload | None:
        """Return an upload, whoever owns it, None where there is none."""
        return self._uploads.find(upload_id)
