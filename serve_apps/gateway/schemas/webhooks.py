"""Webhooks on the wire."""

from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import Field

from cluster.domain.webhooks import Attempt, Webhook, WebhookKind, WebhookState
from serve_apps.gateway.schemas.base import Incoming, Outgoing, Prose, utc

Subscribed = Literal[
    "job.completed",
    "job.failed",
    "job.cancelled",
    "job.expired",
    "job.paused",
    "job.resumed",
    "job.goal_at_risk",
    "model.promoted",
    "model.rolled_back",
]
"""What an endpoint can be told of."""

EVENTS: tuple[Subscribed, ...] = get_args(Subscribed)


class WebhookRequest(Incoming):
    """An endpoint to register: where it is, and what it wants to be told of."""

    url: Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00-\x20]+$")]
    events: Annotated[list[Subscribed], Field(min_length=1, max_length=len(EVENTS))]
    description: Prose = ""


class AttemptView(Outgoing):
    """One try at a delivery: the status it was answered with, or why there was no answer."""

    at: datetime
    status: int | None
    error: str | None


class WebhookView(Outgoing):
    """An endpoint as its owner sees it; `next_attempt_at` is null where nothing waits for it."""

    id: str
    url: str
    events: tuple[WebhookKind, ...]
    description: str
    state: WebhookState
    created_at: datetime
    old_secret_until: datetime | None
    last_attempt: AttemptView | None
    last_success_at: datetime | None
    next_attempt_at: datetime | None


class WebhookWithSecret(WebhookView):
    """An endpoint and its new secret, which is shown this once."""

    secret: str


class WebhookList(Outgoing):
    """All endpoints of a tenant."""

    webhooks: tuple[WebhookView, ...]


def webhook_view(webhook: Webhook) -> WebhookView:
    """Return a webhook as the wire shows it."""
    return WebhookView(
        id=webhook.webhook_id,
        url=webhook.url,
        events=tuple(sorted(webhook.kinds)),
        description=webhook.description,
        state=webhook.state,
        created_at=utc(webhook.created_at),
        old_secret_until=_utc(webhook.old_secret_until),
        last_attempt=webhook.last_attempt and _attempt_view(webhook.last_attempt),
        last_success_at=_utc(webhook.last_success_at),
        next_attempt_at=_utc(webhook.due_at),
    )


def with_secret(webhook: Webhook) -> WebhookWithSecret:
    """Return a webhook as the wire shows it while its secret is new."""
    return WebhookWithSecret(**dict(webhook_view(webhook)), secret=webhook.secret)


def _attempt_view(attempt: Attempt) -> AttemptView:
    return AttemptView(at=utc(attempt.at), status=attempt.status, error=attempt.error)


def _utc(seconds: float | None) -> datetime | None:
    return None if seconds is None else utc(seconds)
