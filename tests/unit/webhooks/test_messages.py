"""Messages: signed as Standard Webhooks verifies them, and the same at every attempt."""

import json
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from cluster.domain.webhooks import Notice, WebhookKind
from serve_apps.webhooks.messages import ping, secret_of, signed_headers, told
from tests.conformance import samples

SECRET, OLD = secret_of(bytes(range(32))), secret_of(bytes(range(1, 33)))
NOTICE = Notice(
    kind=WebhookKind.JOB_GOAL_AT_RISK,
    event=replace(samples.event("certificate.short", goal=0.95), seq=7),
)


def test_a_message_tells_what_happened_to_which_job() -> None:
    delivery = told(NOTICE, samples.job(), samples.webhook())

    assert delivery == told(NOTICE, samples.job(), samples.webhook())
    assert (delivery.message_id, delivery.due_at) == ("msg_job-0001_7", NOTICE.event.at)
    assert json.loads(delivery.body) == {
        "type": "job.goal_at_risk",
        "timestamp": "1970-01-01T00:00:12.500000Z",
        "data": {
            "job_id": "job-0001",
            "name": "pets ✓",
            "seq": 7,
            "message": "it is certificate.short",
            "figures": {"goal": 0.95},
        },
    }


@given(st.text(max_size=50))
def test_any_body_verifies_with_the_standards_own_library(body: str) -> None:
    webhook = replace(samples.webhook(), secret=SECRET)
    delivery = replace(samples.delivery(), body=json.dumps(body))

    headers = signed_headers(webhook, delivery, time.time())

    assert Verifier(SECRET).verify(delivery.body, headers) == body
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(delivery.body + " ", headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(OLD).verify(delivery.body, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(delivery.body, headers | {"webhook-id": "msg_other"})


def test_while_a_secret_is_replaced_either_verifies() -> None:
    now = time.time()
    rotated = replace(samples.webhook(), secret=SECRET, old_secret=OLD, old_secret_until=now + 60.0)
    delivery = ping(rotated, "1", now)

    both = signed_headers(rotated, delivery, now)
    after = signed_headers(rotated, delivery, now + 60.0)

    assert len(both["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, OLD):
        assert Verifier(secret).verify(delivery.body, both)["type"] == "ping"
    assert Verifier(SECRET).verify(delivery.body, after)
    with pytest.raises(WebhookVerificationError):
        Verifier(OLD).verify(delivery.body, after)


def test_a_forged_time_does_not_verify() -> None:
    webhook = replace(samples.webhook(), secret=SECRET)
    stale = signed_headers(webhook, samples.delivery(), time.time() - 301.0)
    for at in (stale["webhook-timestamp"], str(int(time.time()))):
        with pytest.raises(WebhookVerificationError):
            Verifier(SECRET).verify(samples.delivery().body, stale | {"webhook-timestamp": at})
