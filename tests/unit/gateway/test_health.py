"""Health that can fail."""

from starlette.testclient import TestClient

from serve_apps.gateway.api import build_api
from tests.unit.gateway.world import World, with_readiness


def test_a_gateway_lives(world: World) -> None:
    for path in ("/v1/health", "/healthz"):
        assert world.http.get(path).json() == {"status": "ok", "reasons": []}


def test_readiness_fails_with_reasons(world: World) -> None:
    assert world.http.get("/readyz").status_code == 200
    app = build_api(with_readiness(world.services, "no allocator shard answers"))
    response = TestClient(app).get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "unready", "reasons": ["no allocator shard answers"]}
