"""Every request is counted under its route, never under what the client made up."""

import logging

import pytest
from starlette.testclient import TestClient

from cluster.logs import JsonLines
from cluster.telemetry import catalogue as told
from cluster.telemetry.memory import MemoryTelemetry
from serve_apps.gateway.api import build_api
from serve_apps.gateway.measured import REQUEST_ID, ToldByServe
from tests.unit.gateway.world import World, job_body


def telemetry_of(world: World) -> MemoryTelemetry:
    found = world.services.telemetry
    assert isinstance(found, MemoryTelemetry)
    return found


def test_a_request_is_counted_and_timed_under_its_route(world: World) -> None:
    job = world.submitted()
    world.get(f"/v1/jobs/{job.job_id}")
    world.get(f"/v1/jobs/{job.job_id}")
    telemetry = telemetry_of(world)
    assert telemetry.total(told.HTTP_REQUESTS, "POST", "/v1/jobs", "201") == 1
    assert telemetry.total(told.HTTP_REQUESTS, "GET", "/v1/jobs/{job_id}", "200") == 2
    seconds = telemetry.observations(told.HTTP_SECONDS, "/v1/jobs/{job_id}")
    assert len(seconds) == 2
    assert all(each > 0 for each in seconds)


def test_a_refusal_is_counted_by_its_reason_wherever_it_came_from(world: World) -> None:
    # Given a stranger, a bad body, an unknown job, an unknown path and a wrong role
    world.http.get("/v1/jobs")
    world.post("/v1/jobs", job_body(labels=[]))
    world.get("/v1/jobs/nobody")
    world.get("/made/up")
    world.get("/v1/jobs", role="worker")
    telemetry = telemetry_of(world)
    reasons = {labels[0] for name, labels in telemetry.totals if name == told.HTTP_REFUSALS.name}
    # Then each has its reason, and what came to no route has none of the client's making
    assert reasons == {
        "unauthenticated",
        "invalid-request",
        "job-not-found",
        "not-found",
        "wrong-role",
    }
    routes = {labels[1] for name, labels in telemetry.totals if name == told.HTTP_REQUESTS.name}
    assert routes == {"/v1/jobs", "/v1/jobs/{job_id}", "unrouted"}


def test_a_method_of_the_clients_own_making_is_no_label(world: World) -> None:
    world.call("BREW", "/v1/jobs", "client")
    telemetry = telemetry_of(world)
    methods = {labels[0] for name, labels in telemetry.totals if name == told.HTTP_REQUESTS.name}
    assert methods == {"OTHER"}


def test_what_breaks_down_is_counted_as_500(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.stores.jobs, "page", broken)
    assert world.get("/v1/jobs").status_code == 500
    telemetry = telemetry_of(world)
    assert telemetry.total(told.HTTP_REQUESTS, "GET", "/v1/jobs", "500") == 1


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1", True), ("a b", False), ("x" * 65, False), ("", False)]
)
def test_a_plain_request_id_is_kept_and_any_other_replaced(
    world: World, given: str, *, kept: bool
) -> None:
    told_id = world.get("/v1/jobs", headers={REQUEST_ID: given}).headers[REQUEST_ID]
    assert (told_id == given) is kept
    assert told_id


def test_a_line_logged_by_a_route_has_the_requests_id(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def page(*_: object) -> tuple[()]:
        record = logging.LogRecord("cluster.x", logging.INFO, "x.py", 1, "looked", (), None)
        lines.append(JsonLines().format(record))
        return ()

    monkeypatch.setattr(world.stores.jobs, "page", page)
    world.get("/v1/jobs", headers={REQUEST_ID: "find-me"})
    assert '"request_id": "find-me"' in lines[0]


def test_an_id_that_serve_tells_is_left_to_it(world: World) -> None:
    # Given a gateway as it stands behind Serve, which gives every request an id
    api = build_api(world.services)
    api.add_middleware(ToldByServe)
    with TestClient(api) as client:
        # Then it leaves it to Serve to answer with it, also where it does not keep it
        for given in ("req-7", "bad id"):
            answered = client.get("/v1/health", headers={"X-Request-Id": given})
            assert answered.status_code == 200
            assert "X-Request-Id" not in answered.headers
        # And tells its own where Serve can tell none
        assert len(client.get("/v1/health").headers.get_list("X-Request-Id")) == 1
