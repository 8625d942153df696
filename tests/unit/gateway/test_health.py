"""Health that can fail."""

from starlette.testclient import TestClient

from allocation.ports import Demand
from allocation.service import ShardService
from allocation.terms import Rules
from cluster.domain.ids import KeyId
from cluster.errors import ShardUnavailable, StoreBusy
from cluster.stores.memory.people import MemoryKeys
from serve_apps.gateway.api import build_api
from serve_apps.gateway.readiness import unready_reasons
from tests.unit.allocation.worlds import SECRET, SHARD
from tests.unit.gateway.world import World, with_readiness


class LostShard(ShardService):
    """A shard whose process is away."""

    def demands(self) -> tuple[Demand, ...]:
        raise ShardUnavailable(1)


class BusyKeys(MemoryKeys):
    """A database that does not answer in time."""

    def find(self, key_id: KeyId) -> None:
        raise StoreBusy(f"finding {key_id}")


def test_a_gateway_lives(world: World) -> None:
    for path in ("/v1/health", "/healthz"):
        assert world.http.get(path).json() == {"status": "ok", "reasons": []}


def test_readiness_fails_with_reasons(world: World) -> None:
    assert world.http.get("/readyz").status_code == 200
    app = build_api(with_readiness(world.services, "no allocator shard answers"))
    response = TestClient(app).get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "unready", "reasons": ["no allocator shard answers"]}


def test_what_does_not_answer_is_named(world: World) -> None:
    lost = LostShard(SHARD, world.stores, world.clock, SECRET, Rules())
    assert unready_reasons(world.stores.keys, [world.shard]) == ()
    assert unready_reasons(BusyKeys(), [world.shard, lost]) == (
        "the database does not answer",
        "allocator shard 1 does not answer",
    )
