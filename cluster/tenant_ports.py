"""What Muster needs of storage for its tenants: quotas, uploads, what expires, webhooks, acts,
and what was masked of their items.

See `cluster.ports`, which holds the rest of it.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from cluster.domain.audit import Act, AuditEntry
from cluster.domain.ids import JobId, Position, TenantId, UnixSeconds
from cluster.domain.items import Chunk
from cluster.domain.jobs import Job
from cluster.domain.masking import Originals
from cluster.domain.quotas import Quotas, Usage
from cluster.domain.uploads import UnfinishedUploads, Upload, UploadPart
from cluster.domain.webhooks import Delivery, Verdict, Webhook


class QuotaStore(Protocol):
    """What tenants have and may have."""

    def usage(self, tenant_id: TenantId) -> Usage:
        """Return what a tenant has; of uploads that are not whole yet, what they will be."""
        ...

    def uploads(self, tenant_id: TenantId, before: str | None, limit: int) -> tuple[Upload, ...]:
        """Return up to `limit` uploads of a tenant whose ids are before one, the last ids first."""
        ...

    def exception(self, tenant_id: TenantId) -> Quotas:
        """Return how a tenant's quotas differ from everybody's; all None where they do not."""
        ...

    def set_exception(self, tenant_id: TenantId, quotas: Quotas, act: Act | None = None) -> None:
        """Let a tenant's quotas differ from everybody's, in place of how they did before."""
        ...


class RetentionStore(Protocol):
    """What is kept no longer."""

    def expiring(self, now: UnixSeconds, limit: int) -> tuple[Job, ...]:
        """Return up to `limit` jobs whose `expires_at` has come, the longest due first."""
        ...

    def is_source(self, tenant_id: TenantId, uri: str) -> bool:
        """Whether a tenant has a job from a source that has not expired."""
        ...

    def drop_contents(self, job_id: JobId) -> None:
        """Forget a job's chunks, their predictions and its results; answers and events stay."""
        ...

    def upload(self, upload_id: str) -> Upload | None:
        """Return an upload, whoever owns it, None where there is none."""
        ...


class UploadStore(Protocol):
    """Uploads in pieces: how far each has come, and where its parts lie."""

    def create(self, upload: Upload, tenant_bytes_max: int, act: Act | None = None) -> None:
        """Store a new upload, of which nothing has arrived, or all of it in one object.

        Raises QuotaExceeded where its tenant's uploads would have more bytes than that in all.
        """
        ...

    def get(self, tenant_id: TenantId, upload_id: str) -> Upload:
        """Return a tenant's upload; raises UploadNotFound."""
        ...

    def append(self, upload: Upload, parts: Sequence[UploadPart]) -> Upload:
        """Add parts to an upload read at `upload.received_bytes`, all or none, and return it.

        `upload.expires_at` is stored with them. Raises UploadOffsetConflict where it has come
        further since and UploadNotFound where it is gone.
        """
        ...

    def parts(self, upload_id: str) -> tuple[UploadPart, ...]:
        """Return an upload's parts in order."""
        ...

    def unfinished(self, tenant_id: TenantId) -> UnfinishedUploads:
        """Return what a tenant's uploads that are not whole come to."""
        ...

    def remove(self, tenant_id: TenantId, upload_id: str) -> tuple[UploadPart, ...]:
        """Forget an upload and return what its parts were; raises UploadNotFound."""
        ...

    def remove_expired(self, now: UnixSeconds, limit: int) -> tuple[UploadPart, ...]:
        """Forget up to `limit` uploads that ran out before they were whole; return their parts.

        Each is recorded as an act of the service in its tenant.
        """
        ...


class WebhookStore(Protocol):
    """Where each tenant wants to be told of events."""

    def add(self, webhook: Webhook, most: int, act: Act | None = None) -> None:
        """Store a new webhook; raises QuotaExceeded where its tenant has `most` already."""
        ...

    def get(self, tenant_id: TenantId, webhook_id: str) -> Webhook:
        """Return a tenant's webhook; raises WebhookNotFound."""
        ...

    def of_tenant(self, tenant_id: TenantId) -> tuple[Webhook, ...]:
        """Return a tenant's webhooks by id."""
        ...

    def rotate(
        self,
        tenant_id: TenantId,
        webhook_id: str,
        secret: str,
        old_until: UnixSeconds,
        act: Act | None = None,
    ) -> Webhook:
        """Give a webhook another secret; the one it had signs, too, until a time.

        Returns the webhook as it is then; raises WebhookNotFound.
        """
        ...

    def enable(self, tenant_id: TenantId, webhook_id: str, act: Act | None = None) -> Webhook:
        """Send to a webhook again from now on, and return it; raises WebhookNotFound."""
        ...

    def remove(self, tenant_id: TenantId, webhook_id: str, act: Act | None = None) -> None:
        """Forget a webhook and what was on its way to it; raises WebhookNotFound."""
        ...


class DeliveryQueue(Protocol):
    """Messages on their way to webhooks."""

    def enqueue(self, deliveries: Sequence[Delivery], most: int) -> None:
        """Store deliveries to enabled webhooks, each of which holds `most` at a time.

        Those over it are dropped. One with the webhook and message of another changes nothing.
        """
        ...

    def claim(
        self, now: UnixSeconds, until: UnixSeconds, limit: int
    ) -> tuple[tuple[Webhook, Delivery], ...]:
        """Return the next delivery that is due of up to `limit` webhooks, longest due first.

        Nobody else gets one of these webhooks until it is settled or the claim ends.
        """
        ...

    def overdue(self, since: UnixSeconds) -> int:
        """Return how many webhooks have had a delivery due since before a time."""
        ...

    def settle(self, delivery: Delivery, verdict: Verdict) -> None:
        """Store what came of a claimed delivery and end its claim.

        Where its webhook is disabled by that, all that was on its way there is forgotten. Does
        nothing where the webhook is gone.
        """
        ...


class Vault(Protocol):
    """What was masked in the items of jobs, sealed, and bound to its tenant, job and place.

    It is a part of what is stored of the job, and is deleted with it.
    """

    def put(
        self, tenant_id: TenantId, chunk: Chunk, originals: Mapping[Position, Originals]
    ) -> None:
        """Store what was masked in a chunk, replacing what was there of it."""
        ...

    def get(
        self, tenant_id: TenantId, chunk: Chunk, positions: Sequence[Position]
    ) -> Mapping[Position, Originals]:
        """Return what was masked at some places of a chunk; those without anything are left out.

        Raises ObjectMissing where nothing was stored of the chunk, and SecretUnreadable where it
        was changed or is not this tenant's.
        """
        ...


class AuditLog(Protocol):
    """Acts of consequence, each tied to all before it by a hash (`cluster.audit`).

    Other stores append the acts they are given with what these change.
    """

    def append(self, act: Act) -> AuditEntry:
        """Record an act that changes no store, such as a download, and return its entry."""
        ...

    def read(self, after_seq: int, limit: int) -> tuple[AuditEntry, ...]:
        """Return up to `limit` entries numbered above `after_seq`, in order."""
        ...
