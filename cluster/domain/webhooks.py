"""Webhooks: who is told of what, and the messages that are on their way."""

from dataclasses import dataclass
from enum import StrEnum

from cluster.domain.ids import TenantId, UnixSeconds
from cluster.domain.jobs import JobEvent, JobState


class WebhookKind(StrEnum):
    """What a message tells of; `ping` is sent on request only."""

    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_EXPIRED = "job.expired"
    JOB_PAUSED = "job.paused"
    JOB_RESUMED = "job.resumed"
    JOB_GOAL_AT_RISK = "job.goal_at_risk"
    MODEL_PROMOTED = "model.promoted"
    MODEL_ROLLED_BACK = "model.rolled_back"
    PING = "ping"


class WebhookState(StrEnum):
    """Whether an endpoint is sent to.

    `gone` has answered 410, and `failing` has refused a message for the whole of its schedule.
    """

    ENABLED = "enabled"
    GONE = "gone"
    FAILING = "failing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a delivery: the status it was answered with, or why there was no answer."""

    at: UnixSeconds
    status: int | None = None
    error: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the receiver took the message."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An endpoint of a tenant and the kinds of events it is told of.

    Messages are signed with `secret`, and until `old_secret_until` with `old_secret`, too.
    `due_at` is when the next message is to be sent, None where there is none.
    """

    webhook_id: str
    tenant_id: TenantId
    url: str
    kinds: frozenset[WebhookKind]
    description: str
    secret: str
    created_at: UnixSeconds
    old_secret: str | None = None
    old_secret_until: UnixSeconds | None = None
    state: WebhookState = WebhookState.ENABLED
    last_attempt: Attempt | None = None
    last_success_at: UnixSeconds | None = None
    due_at: UnixSeconds | None = None

    def secrets_at(self, now: UnixSeconds) -> tuple[str, ...]:
        """Return the secrets that sign at a time, the newest first."""
        if self.old_secret is None or now >= (self.old_secret_until or 0.0):
            return (self.secret,)
        return (self.secret, self.old_secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message for one endpoint; `attempts` counts those that have failed.

    `message_id` and `body` are the same at every attempt.
    """

    webhook_id: str
    message_id: str
    body: str
    created_at: UnixSeconds
    due_at: UnixSeconds
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an attempt at a delivery comes to.

    `due_at` is when to try again, None where the delivery is over; `state` is that of the webhook.
    """

    attempt: Attempt
    due_at: UnixSeconds | None
    state: WebhookState = WebhookState.ENABLED


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An event of a job that endpoints may want to be told of, and have not been yet."""

    kind: WebhookKind
    event: JobEvent


_ENDS = {
    JobState.COMPLETED: WebhookKind.JOB_COMPLETED,
    JobState.FAILED: WebhookKind.JOB_FAILED,
    JobState.CANCELLED: WebhookKind.JOB_CANCELLED,
    JobState.EXPIRED: WebhookKind.JOB_EXPIRED,
}
_TOLD = {
    "paused": WebhookKind.JOB_PAUSED,
    "resumed": WebhookKind.JOB_RESUMED,
    "model.promoted": WebhookKind.MODEL_PROMOTED,
    "model.rolled_back": WebhookKind.MODEL_ROLLED_BACK,
}


def kind_of(event: JobEvent, state: JobState | None) -> WebhookKind | None:
    """Return what an event is to webhooks, None for nothing.

    `state` is the job's where the event was stored with its job, else None.
    """
    if event.kind == "state":
        return None if state is None else _ENDS.get(state)
    if event.kind == "certificate.short":
        return WebhookKind.JOB_GOAL_AT_RISK
    if event.kind == "learn.done" and event.figures.get("promoted"):
        return WebhookKind.MODEL_PROMOTED
    return _TOLD.get(event.kind)
