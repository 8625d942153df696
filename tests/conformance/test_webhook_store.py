"""`WebhookStore` and `DeliveryQueue`: who is told of what, and what is on its way."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cluster.domain.ids import TenantId
from cluster.domain.webhooks import Attempt, WebhookState
from cluster.ports import Stores
from cluster.tenant_errors import QuotaExceeded, WebhookNotFound
from tests.conformance import samples

RIVAL = TenantId("rival")
SECRET = "whsec_Yg=="  # noqa: S105


def test_a_webhook_comes_back_as_it_was_stored(stores: Stores) -> None:
    stores.webhooks.add(samples.webhook("whk-2"), 10)
    stores.webhooks.add(samples.webhook("whk-1"), 10)
    stores.webhooks.add(samples.webhook("whk-3", RIVAL), 10)

    assert stores.webhooks.get(samples.TENANT, "whk-1") == samples.webhook("whk-1")
    assert stores.webhooks.of_tenant(samples.TENANT) == (
        samples.webhook("whk-1"),
        samples.webhook("whk-2"),
    )


def test_a_tenant_has_as_many_as_it_may_also_in_a_race(stores: Stores) -> None:
    def add(number: int) -> bool:
        try:
            stores.webhooks.add(samples.webhook(f"whk-{number}"), 3)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(add, range(8)))

    assert sum(added) == len(stores.webhooks.of_tenant(samples.TENANT)) == 3
    stores.webhooks.add(samples.webhook("whk-9", RIVAL), 3)
    with pytest.raises(QuotaExceeded, match="quota webhooks is 3, and 3 are used"):
        stores.webhooks.add(samples.webhook("whk-8"), 3)


def test_another_tenant_has_no_such_webhook(stores: Stores) -> None:
    stores.webhooks.add(samples.webhook(), 10)
    for call in (
        lambda: stores.webhooks.get(RIVAL, "whk-1"),
        lambda: stores.webhooks.rotate(RIVAL, "whk-1", SECRET, 9.0),
        lambda: stores.webhooks.enable(RIVAL, "whk-1"),
        lambda: stores.webhooks.remove(RIVAL, "whk-1"),
    ):
        with pytest.raises(WebhookNotFound):
            call()
    assert stores.webhooks.get(samples.TENANT, "whk-1") == samples.webhook()


def test_a_replaced_secret_is_kept_beside_the_new_one(stores: Stores) -> None:
    stores.webhooks.add(samples.webhook(), 10)

    rotated = stores.webhooks.rotate(samples.TENANT, "whk-1", SECRET, 9.0)

    old = samples.webhook().secret
    assert rotated == replace(
        samples.webhook(), secret=SECRET, old_secret=old, old_secret_until=9.0
    )
    assert stores.webhooks.get(samples.TENANT, "whk-1") == rotated
    assert (rotated.secrets_at(8.9), rotated.secrets_at(9.0)) == ((SECRET, old), (SECRET,))


def test_one_delivery_a_webhook_is_claimed_the_longest_due_first(stores: Stores) -> None:
    for number in (1, 2, 3):
        stores.webhooks.add(samples.webhook(f"whk-{number}"), 10)
    late, early = samples.delivery("msg_b", "whk-1", 30.0), samples.delivery("msg_a", "whk-1", 20.0)
    other, future = samples.delivery("msg_c", "whk-2", 25.0), samples.delivery("m", "whk-3", 99.0)
    stores.deliveries.enqueue([late, early, other, future], 10)
    assert stores.webhooks.get(samples.TENANT, "whk-1").due_at == 20.0

    claimed = stores.deliveries.claim(50.0, 110.0, 10)

    assert [(webhook.webhook_id, each) for webhook, each in claimed] == [
        ("whk-1", early),
        ("whk-2", other),
    ]
    assert stores.deliveries.claim(50.0, 110.0, 10) == ()
    # When a claim has run out, somebody else gets it
    assert [each for _, each in stores.deliveries.claim(110.0, 200.0, 1)] == [early]


def test_of_many_who_claim_one_gets_it(stores: Stores) -> None:
    stores.webhooks.add(samples.webhook(), 10)
    stores.deliveries.enqueue([samples.delivery()], 10)
    with ThreadPoolExecutor(8) as threads:
        claims = list(threads.map(lambda _: stores.deliveries.claim(50.0, 110.0, 5), range(8)))
    assert sum(len(claim) for claim in claims) == 1


def test_a_message_is_stored_once_and_only_so_many_wait(stores: Stores) -> None:
    stores.webhooks.add(samples.webhook(), 10)
    for _ in range(2):
        stores.deliveries.enqueue([samples.delivery("msg_1"), samples.delivery("msg_2")], 2)
    stores.deliveries.enqueue([samples.delivery("msg_3")], 2)
    stores.deliveries.enqueue([samples.delivery("msg_1", "whk-none")], 2)

    assert drained(stores) == ["msg_1", "msg_2"]


def test_a_failed_delivery_comes_again_when_it_is_due(stores: Stores) -> None:
    stores.webhooks.add(samples.webhook(), 10)
    stores.deliveries.enqueue([samples.delivery()], 10)
    ((_, claimed),) = stores.deliveries.claim(50.0, 110.0, 1)

    stores.deliveries.settle(claimed, samples.verdict(at=60.0, status=None, due_at=65.0))

    stored = stores.webhooks.get(samples.TENANT, "whk-1")
    assert stored.last_attempt == Attempt(at=60.0, error="no answer within 15 s")
    assert (stored.due_at, stored.last_success_at) == (65.0, None)
    assert stores.deliveries.claim(64.0, 110.0, 1) == ()
    ((_, again),) = stores.deliveries.claim(65.0, 110.0, 1)
    assert again == replace(claimed, due_at=65.0, attempts=1)


def test_a_delivery_that_was_taken_is_over(stores: Stores) -> None:
    stores.webhooks.add(samples.webhook(), 10)
    stores.deliveries.enqueue([samples.delivery("msg_1"), samples.delivery("msg_2")], 10)
    ((_, claimed),) = stores.deliveries.claim(50.0, 110.0, 1)

    stores.deliveries.settle(claimed, samples.verdict(status=204, due_at=None))

    stored = stores.webhooks.get(samples.TENANT, "whk-1")
    assert stored.last_attempt == Attempt(at=60.0, status=204)
    assert (stored.last_success_at, stored.due_at) == (60.0, 50.0)
    assert drained(stores) == ["msg_2"]


def test_a_disabled_webhook_waits_for_nothing_until_it_is_enabled(stores: Stores) -> None:
    stores.webhooks.add(samples.webhook(), 10)
    stores.deliveries.enqueue([samples.delivery("msg_1"), samples.delivery("msg_2")], 10)
    ((_, claimed),) = stores.deliveries.claim(50.0, 110.0, 1)

    stores.deliveries.settle(
        claimed, samples.verdict(status=410, due_at=None, state=WebhookState.GONE)
    )
    stores.deliveries.enqueue([samples.delivery("msg_3")], 10)

    stored = stores.webhooks.get(samples.TENANT, "whk-1")
    assert (stored.state, stored.due_at) == (WebhookState.GONE, None)
    assert drained(stores) == []
    assert stores.webhooks.enable(samples.TENANT, "whk-1").state is WebhookState.ENABLED
    stores.deliveries.enqueue([samples.delivery("msg_4")], 10)
    assert drained(stores) == ["msg_4"]


def test_a_removed_webhook_takes_its_messages_with_it(stores: Stores) -> None:
    stores.webhooks.add(samples.webhook(), 10)
    stores.deliveries.enqueue([samples.delivery()], 10)
    ((_, claimed),) = stores.deliveries.claim(50.0, 110.0, 1)

    stores.webhooks.remove(samples.TENANT, "whk-1")
    stores.deliveries.settle(claimed, samples.verdict())

    with pytest.raises(WebhookNotFound):
        stores.webhooks.get(samples.TENANT, "whk-1")
    assert drained(stores) == []


def drained(stores: Stores) -> list[str]:
    """Deliver all that waits and return its messages."""
    found = []
    while claimed := stores.deliveries.claim(1_000.0, 1_001.0, 10):
        for _, delivery in claimed:
            found.append(delivery.message_id)
            done = samples.verdict(at=1_000.0, status=200, due_at=None)
            stores.deliveries.settle(delivery, done)
    return found


def test_webhooks_whose_messages_are_late_are_counted(stores: Stores) -> None:
    for number in (1, 2, 3):
        stores.webhooks.add(samples.webhook(f"whk-{number}"), 10)
    due = {"msg_a": ("whk-1", 20.0), "msg_b": ("whk-1", 21.0), "msg_c": ("whk-2", 30.0)}
    stores.deliveries.enqueue([samples.delivery(name, *each) for name, each in due.items()], 10)
    assert [stores.deliveries.overdue(since) for since in (20.0, 20.5, 99.0)] == [0, 1, 2]
