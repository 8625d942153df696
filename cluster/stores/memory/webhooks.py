"""Webhooks and the messages on their way to them, in memory."""

from collections.abc import Sequence
from dataclasses import replace
from threading import RLock

from cluster.domain.audit import Act
from cluster.domain.ids import TenantId, UnixSeconds
from cluster.domain.webhooks import Delivery, Verdict, Webhook, WebhookState
from cluster.stores.memory.audit import MemoryAudit
from cluster.tenant_errors import QuotaExceeded, WebhookNotFound


class MemoryWebhooks:
    """A `WebhookStore` in memory, and the `DeliveryQueue` of its webhooks."""

    def __init__(self, audit: MemoryAudit) -> None:
        self._lock, self._audit = RLock(), audit
        self._webhooks: dict[str, Webhook] = {}
        self._waiting: dict[str, dict[str, Delivery]] = {}
        self._claimed_until: dict[str, UnixSeconds] = {}

    def add(self, webhook: Webhook, most: int, act: Act | None = None) -> None:
        """Store a new webhook; raises QuotaExceeded where its tenant has `most` already."""
        with self._lock:
            used = len(self.of_tenant(webhook.tenant_id))
            if used >= most:
                raise QuotaExceeded("webhooks", used, most)
            self._webhooks[webhook.webhook_id] = webhook
            self._waiting[webhook.webhook_id] = {}
            self._audit.note(act)

    def get(self, tenant_id: TenantId, webhook_id: str) -> Webhook:
        """Return a tenant's webhook; raises WebhookNotFound."""
        with self._lock:
            webhook = self._webhooks.get(webhook_id)
        if webhook is None or webhook.tenant_id != tenant_id:
            raise WebhookNotFound(tenant_id, webhook_id)
        return webhook

    def of_tenant(self, tenant_id: TenantId) -> tuple[Webhook, ...]:
        """Return a tenant's webhooks by id."""
        with self._lock:
            found = [each for each in self._webhooks.values() if each.tenant_id == tenant_id]
        return tuple(sorted(found, key=lambda each: each.webhook_id))

    def rotate(
        self,
        tenant_id: TenantId,
        webhook_id: str,
        secret: str,
        old_until: UnixSeconds,
        act: Act | None = None,
    ) -> Webhook:
        """Give a webhook another secret; the one it had signs, too, until a time."""
        with self._lock:
            old = self.get(tenant_id, webhook_id)
            self._webhooks[webhook_id] = replace(
                old, secret=secret, old_secret=old.secret, old_secret_until=old_until
            )
            self._audit.note(act)
            return self._webhooks[webhook_id]

    def enable(self, tenant_id: TenantId, webhook_id: str, act: Act | None = None) -> Webhook:
        """Send to a webhook again from now on, and return it; raises WebhookNotFound."""
        with self._lock:
            old = self.get(tenant_id, webhook_id)
            self._webhooks[webhook_id] = replace(old, state=WebhookState.ENABLED)
            self._audit.note(act)
            return self._webhooks[webhook_id]

    def remove(self, tenant_id: TenantId, webhook_id: str, act: Act | None = None) -> None:
        """Forget a webhook and what was on its way to it; raises WebhookNotFound."""
        with self._lock:
            self.get(tenant_id, webhook_id)
            del self._webhooks[webhook_id], self._waiting[webhook_id]
            self._claimed_until.pop(webhook_id, None)
            self._audit.note(act)

    def enqueue(self, deliveries: Sequence[Delivery], most: int) -> None:
        """Store deliveries to enabled webhooks, each of which holds `most` at a time."""
        with self._lock:
            for delivery in deliveries:
                webhook = self._webhooks.get(delivery.webhook_id)
                if webhook is None or webhook.state is not WebhookState.ENABLED:
                    continue
                waiting = self._waiting[delivery.webhook_id]
                if len(waiting) < most:
                    waiting.setdefault(delivery.message_id, delivery)
                    self._note_due(delivery.webhook_id)

    def claim(
        self, now: UnixSeconds, until: UnixSeconds, limit: int
    ) -> tuple[tuple[Webhook, Delivery], ...]:
        """Return the next delivery that is due of up to `limit` webhooks, longest due first."""
        with self._lock:
            due = sorted(
                (webhook.due_at, webhook_id)
                for webhook_id, webhook in self._webhooks.items()
                if webhook.due_at is not None
                and webhook.due_at <= now
                and self._claimed_until.get(webhook_id, 0.0) <= now
            )
            claimed = []
            for _, webhook_id in due[:limit]:
                self._claimed_until[webhook_id] = until
                waiting = self._waiting[webhook_id].values()
                claimed.append(
                    (self._webhooks[webhook_id], min(waiting, key=lambda each: each.due_at))
                )
            return tuple(claimed)

    def overdue(self, since: UnixSeconds) -> int:
        """Return how many webhooks have had a delivery due since before a time."""
        with self._lock:
            due = (webhook.due_at for webhook in self._webhooks.values())
            return sum(due_at is not None and due_at < since for due_at in due)

    def settle(self, delivery: Delivery, verdict: Verdict) -> None:
        """Store what came of a claimed delivery and end its claim."""
        webhook_id, attempt = delivery.webhook_id, verdict.attempt
        with self._lock:
            webhook = self._webhooks.get(webhook_id)
            if webhook is None:
                return
            waiting = self._waiting[webhook_id]
            waiting.pop(delivery.message_id, None)
            if verdict.state is not WebhookState.ENABLED:
                waiting.clear()
            elif verdict.due_at is not None:
                waiting[delivery.message_id] = replace(
                    delivery, due_at=verdict.due_at, attempts=delivery.attempts + 1
                )
            self._webhooks[webhook_id] = replace(
                webhook,
                state=verdict.state,
                last_attempt=attempt,
                last_success_at=attempt.at if attempt.is_success else webhook.last_success_at,
            )
            self._claimed_until.pop(webhook_id, None)
            self._note_due(webhook_id)

    def _note_due(self, webhook_id: str) -> None:
        due_at = min((each.due_at for each in self._waiting[webhook_id].values()), default=None)
        self._webhooks[webhook_id] = replace(self._webhooks[webhook_id], due_at=due_at)
