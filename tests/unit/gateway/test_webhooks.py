"""Webhooks over HTTP: who may be told, and what its owner sees of it."""

import time

import pytest
from standardwebhooks import Webhook as Verifier

from cluster.domain.ids import TenantId
from cluster.domain.webhooks import Attempt, Verdict, WebhookState
from serve_apps.webhooks.messages import signed_headers
from tests.unit.gateway.world import TENANT, World, problem

ACME = TenantId(TENANT)
BODY = {"url": "https://hooks.example/muster", "events": ["job.completed", "job.failed"]}


def registered(world: World, **changes: object) -> dict[str, object]:
    response = world.post("/v1/webhooks", {**BODY, **changes})
    assert response.status_code == 201, response.text
    found: dict[str, object] = response.json()
    assert response.headers["location"] == f"/v1/webhooks/{found['id']}"
    return found


def test_an_endpoint_is_registered_and_its_secret_shown_once(world: World) -> None:
    made = registered(world, description="ours")

    secret = made.pop("secret")
    assert str(secret).startswith("whsec_")
    assert (made["events"], made["state"]) == (["job.completed", "job.failed"], "enabled")
    assert world.get(f"/v1/webhooks/{made['id']}").json() == made
    listed = world.get("/v1/webhooks")
    assert listed.json() == {"webhooks": [made]}
    assert str(secret) not in listed.text


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example/", "its scheme must be https"),
        ("https://inside.example/", "not public"),
        ("https://nowhere.example/", "has no address"),
        ("https://a:b@hooks.example/", "names a user"),
        ("https://hooks.example:25/", "its port must be"),
    ],
)
def test_an_endpoint_that_must_not_be_called_is_refused(
    world: World, url: str, reason: str
) -> None:
    refused = problem(world.post("/v1/webhooks", {**BODY, "url": url}), 422, "forbidden-url")
    assert reason in refused.detail
    assert world.get("/v1/webhooks").json() == {"webhooks": []}


@pytest.mark.parametrize(
    "changes", [{"events": []}, {"events": ["ping"]}, {"events": ["job.eaten"]}, {"url": "a b"}]
)
def test_a_request_of_another_form_is_refused(world: World, changes: dict[str, object]) -> None:
    problem(world.post("/v1/webhooks", {**BODY, **changes}), 422, "invalid-request")


def test_a_tenant_has_as_many_endpoints_as_it_may(world: World) -> None:
    most = world.services.settings.webhooks.tenant_max
    for _ in range(most):
        registered(world)
    refused = problem(world.post("/v1/webhooks", BODY), 403, "quota-exceeded")
    assert refused.detail == f"quota webhooks is {most}, and {most} are used"
    assert world.post("/v1/webhooks", BODY, tenant="initech").status_code == 201


def test_an_endpoint_of_another_tenant_does_not_exist(world: World) -> None:
    made = registered(world)
    for method, suffix in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/rotate"),
        ("POST", "/enable"),
        ("POST", "/test"),
    ):
        path = f"/v1/webhooks/{made['id']}{suffix}"
        problem(world.call(method, path, "client", "initech"), 404, "webhook-not-found")
    assert world.get("/v1/webhooks", tenant="initech").json() == {"webhooks": []}


def test_a_replaced_secret_goes_on_for_a_time(world: World) -> None:
    made = registered(world)

    rotated = world.post(f"/v1/webhooks/{made['id']}/rotate", None).json()

    assert rotated["secret"] != made["secret"]
    until = rotated["old_secret_until"]
    assert until == "1970-01-13T13:46:40Z"
    stored = world.stores.webhooks.get(ACME, str(made["id"]))
    assert stored.secrets_at(world.clock.now()) == (rotated["secret"], made["secret"])


def test_a_ping_is_sent_and_what_came_of_it_is_seen(world: World) -> None:
    # Given an endpoint
    made = registered(world)
    path = f"/v1/webhooks/{made['id']}"
    # When a test is asked for
    asked = world.post(f"{path}/test", None)
    # Then a signed ping is on its way
    assert asked.status_code == 202
    assert asked.json()["next_attempt_at"] is not None
    now = world.clock.now()
    ((webhook, delivery),) = world.stores.deliveries.claim(now, now + 60.0, 10)
    headers = signed_headers(webhook, delivery, time.time())
    assert Verifier(str(made["secret"])).verify(delivery.body, headers)["type"] == "ping"
    # And what came of it is seen
    attempt = Attempt(at=now, error="no answer within 15 s")
    world.stores.deliveries.settle(delivery, Verdict(attempt=attempt, due_at=now + 5.0))
    seen = world.get(path).json()
    assert (seen["last_attempt"]["status"], seen["last_attempt"]["error"]) == (
        None,
        "no answer within 15 s",
    )


def test_an_endpoint_that_was_given_up_can_be_enabled(world: World) -> None:
    made = registered(world)
    path = f"/v1/webhooks/{made['id']}"
    world.post(f"{path}/test", None)
    now = world.clock.now()
    ((_, delivery),) = world.stores.deliveries.claim(now, now + 60.0, 10)
    gone = Verdict(attempt=Attempt(at=now, status=410), due_at=None, state=WebhookState.GONE)
    world.stores.deliveries.settle(delivery, gone)

    assert world.get(path).json()["state"] == "gone"
    problem(world.post(f"{path}/test", None), 409, "webhook-disabled")
    assert world.post(f"{path}/enable", None).json()["state"] == "enabled"
    assert world.post(f"{path}/test", None).status_code == 202


def test_a_deleted_endpoint_is_gone(world: World) -> None:
    made = registered(world)
    path = f"/v1/webhooks/{made['id']}"
    assert world.call("DELETE", path, "client").status_code == 204
    problem(world.get(path), 404, "webhook-not-found")
    problem(world.call("DELETE", path, "client"), 404, "webhook-not-found")


def test_what_an_owner_wishes_of_a_job_is_noticed_once(world: World) -> None:
    job = world.submitted()
    for _ in range(2):
        world.post(f"/v1/jobs/{job.job_id}/pause", None)
    world.post(f"/v1/jobs/{job.job_id}/resume", None)

    found = world.stores.events.notices(10)
    assert [notice.kind.value for notice in found] == ["job.paused", "job.resumed"]
