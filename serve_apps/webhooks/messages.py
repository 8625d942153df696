"""What is sent to an endpoint: the body of a message and the headers that sign it."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from standardwebhooks import Webhook as Signer

from cluster.domain.ids import UnixSeconds
from cluster.domain.jobs import Job
from cluster.domain.webhooks import Delivery, Notice, Webhook, WebhookKind

SECRET_BYTES = 32
_PREFIX = "whsec_"


class JobData(BaseModel):
    """The event of a job that a message tells of; `seq` is its number in the job's history."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    name: str
    seq: int
    message: str
    figures: Mapping[str, float]


class PingData(BaseModel):
    """Nothing but whom a test message is for."""

    model_config = ConfigDict(frozen=True)

    webhook_id: str


class Message(BaseModel):
    """The body of a message, as Standard Webhooks suggests it."""

    model_config = ConfigDict(frozen=True)

    type: WebhookKind
    timestamp: datetime
    data: JobData | PingData


def secret_of(randomness: bytes) -> str:
    """Return a secret made of 32 random bytes."""
    return _PREFIX + b64encode(randomness).decode()


def told(notice: Notice, job: Job, webhook: Webhook) -> Delivery:
    """Return the message by which an endpoint is told of an event; equal at every call."""
    event = notice.event
    data = JobData(
        job_id=job.job_id,
        name=job.spec.name,
        seq=event.seq,
        message=event.message,
        figures=event.figures,
    )
    return _delivery(webhook, f"msg_{job.job_id}_{event.seq}", notice.kind, event.at, data)


def ping(webhook: Webhook, message_id: str, now: UnixSeconds) -> Delivery:
    """Return a test message."""
    data = PingData(webhook_id=webhook.webhook_id)
    return _delivery(webhook, f"msg_{message_id}", WebhookKind.PING, now, data)


def signed_headers(webhook: Webhook, delivery: Delivery, now: UnixSeconds) -> dict[str, str]:
    """Return the headers of an attempt: its id, its time, and a signature for each secret."""
    at = datetime.fromtimestamp(int(now), UTC)
    signatures = [
        Signer(secret).sign(delivery.message_id, at, delivery.body)
        for secret in webhook.secrets_at(now)
    ]
    return {
        "content-type": "application/json",
        "webhook-id": delivery.message_id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": " ".join(signatures),
    }


def _delivery(
    webhook: Webhook, message_id: str, kind: WebhookKind, at: UnixSeconds, data: JobData | PingData
) -> Delivery:
    message = Message(type=kind, timestamp=datetime.fromtimestamp(at, UTC), data=data)
    return Delivery(
        webhook_id=webhook.webhook_id,
        message_id=message_id,
        body=message.model_dump_json(),
        created_at=at,
        due_at=at,
    )
