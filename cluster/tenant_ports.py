"""What Muster needs of storage for its tenants: quotas, what expires, webhooks.

See `cluster.ports`, which holds the rest of it.
"""

from collections.abc import Sequence
from typing import Protocol

from cluster.domain.ids import JobId, TenantId, UnixSeconds
from cluster.domain.jobs import Job
from cluster.domain.quotas import Quotas, Usage
from cluster.domain.uploads import Upload
from cluster.domain.webhooks import Delivery, Verdict, Webhook


class QuotaStore(Protocol):
    """What tenants have and may have."""

    def usage(self, tenant_id: TenantId) -> Usage:
        """Return what a tenant has; of uploads that are not whole yet, what they will be."""
        ...

    def exception(self, tenant_id: TenantId) -> Quotas:
        """Return how a tenant's quotas differ from everybody's; all None where they do not."""
        ...

    def set_exception(self, tenant_id: TenantId, quotas: Quotas) -> None:
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


class WebhookStore(Protocol):
    """Where each tenant wants to be told of events."""

    def add(self, webhook: Webhook, most: int) -> None:
        """Store a new webhook; raises QuotaExceeded where its tenant has `most` already."""
        ...

    def get(self, tenant_id: TenantId, webhook_id: str) -> Webhook:
        """Return a tenant's webhook; raises WebhookNotFound."""
        ...

    def of_tenant(self, tenant_id: TenantId) -> tuple[Webhook, ...]:
        """Return a tenant's webhooks by id."""
        ...

    def rotate(
        self, tenant_id: TenantId, webhook_id: str, secret: str, old_until: UnixSeconds
    ) -> Webhook:
        """Give a webhook another secret; the one it had signs, too, until a time.

        Returns the webhook as it is then; raises WebhookNotFound.
        """
        ...

    def enable(self, tenant_id: TenantId, webhook_id: str) -> Webhook:
        """Send to a webhook again from now on, and return it; raises WebhookNotFound."""
        ...

    def remove(self, tenant_id: TenantId, webhook_id: str) -> None:
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

    def settle(self, delivery: Delivery, verdict: Verdict) -> None:
        """Store what came of a claimed delivery and end its claim.

        Where its webhook is disabled by that, all that was on its way there is forgotten. Does
        nothing where the webhook is gone.
        """
        ...
