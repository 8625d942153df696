"""Health that can fail, and says what of."""

from pathlib import Path
from threading import Event

import pytest
from starlette.testclient import TestClient

from allocation.ports import Demand
from allocation.service import ShardService
from allocation.terms import Rules
from cluster.domain.ids import KeyId
from cluster.errors import ShardUnavailable, StoreBusy
from cluster.settings import PiiSettings, Settings
from cluster.stores.memory.audit import MemoryAudit
from cluster.stores.memory.people import MemoryKeys
from serve_apps.gateway import readiness
from serve_apps.gateway.api import build_api
from serve_apps.gateway.readiness import Readiness, parts_of
from tests.unit.allocation.worlds import SECRET, SHARD
from tests.unit.gateway.world import World, with_readiness, with_stores


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
        assert world.http.get(path).json() == {"status": "ok", "reasons": [], "parts": {}}


def test_readiness_fails_with_reasons(world: World) -> None:
    assert world.http.get("/readyz").status_code == 200
    state = {"database": None, "prelabel": "is not deployed"}
    app = build_api(with_readiness(world.services, **state))
    response = TestClient(app).get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "status": "unready",
        "reasons": ["prelabel is not deployed"],
        "parts": {"database": "ok", "prelabel": "is not deployed"},
    }


def test_what_does_not_answer_is_named(world: World, tmp_path: Path) -> None:
    lost = LostShard(SHARD, world.stores, world.clock, SECRET, Rules())
    well = parts_of(world.stores, [world.shard], Settings(data_dir=tmp_path), lambda: True)
    assert Readiness(well)() == dict.fromkeys(
        ("database", "objects", "prelabel", "disk", "allocator-0")
    )
    busy = with_stores(world.stores, keys=BusyKeys(MemoryAudit()))
    ill = parts_of(busy, [world.shard, lost], Settings(data_dir=tmp_path), lambda: False)
    assert Readiness(ill)() == {
        "database": "does not answer",
        "objects": None,
        "prelabel": "is not deployed",
        "disk": None,
        "allocator-0": None,
        "allocator-1": "does not answer",
    }


def test_a_disk_that_is_nearly_full_is_no_readiness(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "DISK_FREE_MIN_BYTES", 2**80)
    reason = parts_of(world.stores, [], Settings(data_dir=tmp_path), lambda: True)["disk"]()
    assert reason is not None
    assert reason.startswith("has ")


def test_a_model_that_is_set_and_cannot_be_loaded_is_told_by_its_setting(
    world: World, tmp_path: Path
) -> None:
    # Given models for names that are not there, and one that is
    spacy = pytest.importorskip("spacy", reason="needs the extra pii")
    spacy.blank("en").to_disk(tmp_path / "names")
    damaged = tmp_path / "damaged"
    spacy.blank("en").to_disk(damaged)
    (damaged / "config.cfg").write_text("[nlp]\nlang = 3\n")

    def reason(model: object) -> str | None:
        settings = Settings(data_dir=tmp_path, pii=PiiSettings(spacy_model=str(model)))
        probe = parts_of(world.stores, [], settings, lambda: True)["pii"]
        assert probe() == probe()
        return probe()

    # Then each says so, by the setting's name, and shows no folder
    setting = "cannot load the model of MUSTER_PII__SPACY_MODEL"
    assert reason(tmp_path / "nowhere") == f"{setting}: spaCy finds no such model"
    assert str(reason(damaged)).startswith(f"{setting}: spaCy cannot load it (")
    assert reason(tmp_path / "names") is None


def test_a_part_that_hangs_holds_nobody_up_and_is_asked_once() -> None:
    # Given a part that hangs, one that breaks down, and one that is well
    go_on, asked = Event(), []

    def hangs() -> None:
        asked.append(1)
        go_on.wait(30)

    def breaks() -> None:
        raise ZeroDivisionError

    ask = Readiness({"slow": hangs, "broken": breaks, "well": lambda: None}, timeout_s=0.05)
    try:
        # When readiness is asked for again and again
        states = [ask() for _ in range(3)]
    finally:
        go_on.set()
    # Then each answer comes in time and says so, and the part was asked once
    expected = {"slow": "does not answer within 0.05 s", "broken": "breaks down", "well": None}
    assert states == [expected] * 3
    assert asked == [1]
