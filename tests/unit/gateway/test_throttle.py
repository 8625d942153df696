"""Keys that call too often over HTTP."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from cluster.settings import RateSettings
from serve_apps.gateway.api import build_api
from tests.unit.gateway.world import World, problem

RATES = RateSettings(client_per_s=0.5, client_burst=3, worker_per_s=1.0, worker_burst=5)


@pytest.fixture
def slow(world: World) -> Iterator[World]:
    settings = world.services.settings.model_copy(update={"rates": RATES})
    api = build_api(replace(world.services, settings=settings))
    with TestClient(api, raise_server_exceptions=False) as http:
        yield replace(world, http=http)


def test_a_key_that_calls_too_often_is_told_when_to_come_back(slow: World) -> None:
    # Given a key that has used up its burst
    told = [slow.get("/v1/jobs").headers["ratelimit"] for _ in range(3)]
    assert told == ['"client";r=2;t=2', '"client";r=1;t=4', '"client";r=0;t=6']
    # When it calls again
    response = slow.get("/v1/jobs")
    # Then it is refused, told why and for how long
    found = problem(response, 429, "rate-limited")
    assert (response.headers["retry-after"], found.retry_after_s) == ("2", 2.0)
    assert response.headers["ratelimit-policy"] == '"client";q=3;w=6'
    # And served again after that time
    slow.clock.time += 2.0
    assert slow.get("/v1/jobs").status_code == 200
    assert slow.get("/v1/jobs").status_code == 429


def test_a_refused_request_is_not_read_and_does_nothing(slow: World) -> None:
    for _ in range(3):
        slow.get("/v1/jobs")
    refused = slow.call("POST", "/v1/jobs", "client", content=b"{" * 10_000)
    problem(refused, 429, "rate-limited")
    slow.clock.time += 60.0
    assert slow.get("/v1/jobs").json()["jobs"] == []


def test_every_key_has_a_bucket_and_roles_have_their_rates(slow: World) -> None:
    for _ in range(4):
        mine = slow.get("/v1/jobs")
    assert mine.status_code == 429
    assert slow.get("/v1/jobs", tenant="umbrella").status_code == 200
    workers = [slow.get("/v1/workers", "worker") for _ in range(6)]
    assert [response.status_code for response in workers] == [200] * 5 + [429]


def test_open_paths_and_strangers_are_not_counted(slow: World) -> None:
    for _ in range(10):
        assert slow.http.get("/v1/health").status_code == 200
        assert slow.http.get("/v1/jobs").status_code == 401
    assert "ratelimit" not in slow.http.get("/v1/health").headers
    assert slow.get("/v1/jobs").status_code == 200
