"""Promotion and rollback by hand: one call, by whoever may, and only of what the caller saw."""

from dataclasses import replace

import pytest

from cluster.domain.ids import JobId, ModelName
from cluster.domain.lines import Stage
from cluster.domain.models import ModelSpec
from cluster.domain.webhooks import WebhookKind
from cluster.errors import ModelUnusable
from cluster.replica_errors import ReplicaLost
from tests.model_lines import go_live, try_out
from tests.unit.gateway.lines import record
from tests.unit.gateway.world import World, problem

NAME = "acme/steps"
LINE = ModelName(NAME)
LIVE, BACK = "/v1/models/steps/live", "/v1/models/steps/rollback"


@pytest.fixture(autouse=True)
def warmed(world: World, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A line of five versions, of which 1 is live over 0; what the replicas have loaded."""
    loaded: list[int] = []

    async def warm(spec: ModelSpec) -> None:
        if spec.version == 3:
            raise ModelUnusable("steps version 3", "its weights are broken")
        if spec.version == 4:
            raise ReplicaLost("loading")
        loaded.append(spec.version)

    monkeypatch.setattr(world.services.online, "warm", warm)
    for version in range(5):
        world.stores.models.add(record(NAME, version))
    for version in range(2):
        go_live(world.stores.lines, LINE, version)
    return loaded


def live(world: World) -> int:
    return world.stores.models.live(LINE).spec.version


def test_a_rollback_is_one_call(world: World, warmed: list[int]) -> None:
    reply = world.post(BACK, {"reason": "it hates owls"})

    step = reply.json()
    assert (reply.status_code, live(world), warmed) == (200, 0, [0])
    assert (step["stage"], step["version"], step["over"], step["live"]) == ("rolled_back", 1, 1, 0)
    assert (step["by"], step["reason"]) == ("key acme-client", "it hates owls")
    assert reply.headers["etag"] == '"3"'


def test_the_job_that_trained_a_version_and_the_webhooks_hear_of_it(world: World) -> None:
    world.post(BACK, {"reason": "it hates owls"})
    world.post(LIVE, {"version": 2})

    events = world.stores.events.read(JobId("job-1"), 0, 10)
    assert [event.kind for event in events] == ["model.rolled_back", "model.promoted"]
    assert events[0].message == "version 1: it hates owls; version 0 is live"
    assert events[1].figures == {"version": 2.0, "live": 2.0}
    assert [notice.kind for notice in world.stores.events.notices(10)] == [
        WebhookKind.MODEL_ROLLED_BACK,
        WebhookKind.MODEL_PROMOTED,
    ]


def test_any_version_can_be_made_live_and_the_history_tells_all(world: World) -> None:
    try_out(world.stores.lines, LINE, 2, Stage.SHADOW)
    world.post(LIVE, {"version": 0, "reason": "back to the roots"})

    versions = world.get("/v1/models/steps/versions").json()["versions"]
    first = world.get("/v1/models/steps/history", params={"limit": 2}).json()
    rest = world.get("/v1/models/steps/history", params={"cursor": first["next_cursor"]}).json()

    assert [each["stage"] for each in versions] == [
        *("live", "retired", "retired"),
        *("registered", "registered"),
    ]
    steps = [*first["steps"], *rest["steps"]]
    assert [step["revision"] for step in steps] == [4, 3, 2, 1]
    assert [step["live"] for step in steps] == [0, 1, 1, 0]
    assert rest["next_cursor"] is None


def test_to_make_live_what_is_live_takes_no_step(world: World) -> None:
    for _ in range(2):
        assert world.post(LIVE, {"version": 2}).json()["revision"] == 3


@pytest.mark.parametrize(
    ("body", "headers"),
    [({"expected_live": 0}, {}), ({}, {"If-Match": '"1"'}), ({}, {"If-Match": '"3"'})],
)
def test_what_has_changed_since_is_left_alone(
    world: World, body: dict[str, int], headers: dict[str, str]
) -> None:
    for path, request in ((BACK, body), (LIVE, {**body, "version": 2})):
        reply = world.post(path, request, headers=headers)
        refused = problem(reply, 412, "precondition-failed")
        assert refused.detail == 'model steps has changed since; its ETag is "2" now'
    assert live(world) == 1


def test_what_is_as_expected_is_changed_once(world: World) -> None:
    etag = world.get(LIVE).headers["etag"]

    world.post(LIVE, {"version": 2, "expected_live": 1}, headers={"If-Match": etag})
    again = world.post(BACK, {"expected_live": 1}, headers={"If-Match": etag})

    assert (live(world), again.status_code) == (2, 412)


def test_where_there_is_nothing_to_go_back_to_nothing_is_done(world: World) -> None:
    world.post(BACK, {})

    refused = problem(world.post(BACK, {}), 409, "no-earlier-version")

    assert refused.detail == "version 0 of model steps has none before it to go back to"
    assert live(world) == 0


def test_a_version_that_no_replica_can_load_does_not_go_live(world: World) -> None:
    problem(world.post(LIVE, {"version": 3}), 500, "model-unusable")
    problem(world.post(LIVE, {"version": 4}), 503, "replica-lost")
    missing = problem(world.post(LIVE, {"version": 9}), 404, "model-not-found")

    assert missing.detail == "there is no model steps version 9"
    assert live(world) == 1


def test_a_rollback_waits_for_no_replica(world: World) -> None:
    """What is live may be what they die of."""
    go_live(world.stores.lines, LINE, 4)
    go_live(world.stores.lines, LINE, 2)

    assert world.post(BACK, {}).status_code == 200
    assert live(world) == 4


def test_only_clients_of_the_tenant_may(world: World) -> None:
    for path, body in ((LIVE, {"version": 0}), (BACK, {})):
        problem(world.post(path, body, "worker"), 403, "wrong-role")
        problem(world.post(path, body, tenant="umbrella"), 404, "model-not-found")
    problem(world.get("/v1/models/steps/history", tenant="umbrella"), 404, "model-not-found")
    assert live(world) == 1


@pytest.mark.parametrize("body", [{}, {"version": -1}, {"version": "1"}, {"version": 1, "x": 1}])
def test_bad_requests_are_refused(world: World, body: dict[str, object]) -> None:
    problem(world.post(LIVE, body), 422, "invalid-request")
    assert live(world) == 1


def test_a_line_of_versions_without_lineage_tells_nobody(world: World) -> None:
    other = "acme/other"
    for version in range(2):
        world.stores.models.add(replace(record(other, version), lineage=None))
        go_live(world.stores.lines, ModelName(other), version)

    assert world.post("/v1/models/other/rollback", {}).json()["live"] == 0
    assert world.stores.events.notices(10) == ()
