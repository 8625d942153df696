"""What comes of an attempt to deliver: when to try again, and when to give an endpoint up."""

from collections.abc import Sequence
from http import HTTPStatus

from cluster.domain.webhooks import Attempt, Delivery, Verdict, Webhook, WebhookState


def judge(
    webhook: Webhook, delivery: Delivery, attempt: Attempt, retries_s: Sequence[float]
) -> Verdict:
    """Return what an attempt at a delivery comes to.

    A status of 2xx is success. 410 disables the endpoint. Anything else is tried again after each
    of `retries_s` in turn; an endpoint that has taken nothing in all that time is disabled, too,
    and one that has taken other messages loses this one.
    """
    if attempt.is_success:
        return Verdict(attempt=attempt, due_at=None)
    if attempt.status == HTTPStatus.GONE:
        return Verdict(attempt=attempt, due_at=None, state=WebhookState.GONE)
    if delivery.attempts < len(retries_s):
        return Verdict(attempt=attempt, due_at=attempt.at + retries_s[delivery.attempts])
    took_others = (webhook.last_success_at or 0.0) >= delivery.created_at
    state = WebhookState.ENABLED if took_others else WebhookState.FAILING
    return Verdict(attempt=attempt, due_at=None, state=state)
