"""What comes of attempts, without a clock or a network."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.domain.webhooks import Attempt, WebhookState
from cluster.settings import WebhookSettings
from serve_apps.webhooks.attempts import judge
from tests.conformance import samples

RETRIES_S = WebhookSettings().retries_s
STANDARD_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Standard Webhooks 1.0.0: at once, then after 5 s, 5 and 30 min, 2, 5, 10, 14, 20 and 24 h."""


def test_the_schedule_is_the_one_of_the_standard() -> None:
    assert RETRIES_S == STANDARD_S


@pytest.mark.parametrize("status", [200, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    attempt = Attempt(at=60.0, status=status)
    verdict = judge(samples.webhook(), samples.delivery(), attempt, RETRIES_S)
    assert (verdict.due_at, verdict.state) == (None, WebhookState.ENABLED)


def test_410_disables_at_once() -> None:
    verdict = judge(samples.webhook(), samples.delivery(), Attempt(at=60.0, status=410), RETRIES_S)
    assert (verdict.due_at, verdict.state) == (None, WebhookState.GONE)


@given(
    st.one_of(st.none(), st.integers(100, 199), st.integers(300, 599)).filter(lambda s: s != 410)
)
def test_anything_else_is_tried_again_by_the_schedule_and_then_the_endpoint_is_given_up(
    status: int | None,
) -> None:
    # Given a message that is never taken
    delivery, now, waits = samples.delivery(), 60.0, []
    while True:
        verdict = judge(samples.webhook(), delivery, Attempt(at=now, status=status), RETRIES_S)
        if verdict.due_at is None:
            break
        assert verdict.state is WebhookState.ENABLED
        waits.append(verdict.due_at - now)
        now = verdict.due_at
        delivery = replace(delivery, attempts=delivery.attempts + 1, due_at=now)
    # Then it is tried ten times, and its endpoint disabled
    assert tuple(waits) == STANDARD_S
    assert verdict.state is WebhookState.FAILING


def test_an_endpoint_that_takes_other_messages_loses_only_this_one() -> None:
    last = replace(samples.delivery(), attempts=len(RETRIES_S))
    for success_at, state in (
        (last.created_at + 1, WebhookState.ENABLED),
        (last.created_at - 1, WebhookState.FAILING),
    ):
        webhook = replace(samples.webhook(), last_success_at=success_at)
        verdict = judge(webhook, last, Attempt(at=9e5, status=500), RETRIES_S)
        assert (verdict.due_at, verdict.state) == (None, state)
