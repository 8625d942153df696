"""Model lines as their tenant sees them."""

import pytest

from cluster.domain.ids import ModelName
from tests.model_lines import go_live
from tests.unit.gateway.lines import record
from tests.unit.gateway.world import World, problem


@pytest.fixture(autouse=True)
def lines(world: World) -> None:
    """Two lines of acme, one of them live at version 1, and one of umbrella."""
    models = world.stores.models
    for name, versions in (("acme/one", 2), ("acme/two", 1), ("umbrella/one", 1)):
        for version in range(versions):
            models.add(record(name, version))
    for version in range(2):
        go_live(world.stores.lines, ModelName("acme/one"), version)


def test_a_tenant_lists_its_own_lines_by_page(world: World) -> None:
    first = world.get("/v1/models", params={"limit": 1}).json()
    assert first["models"] == [{"name": "one", "live_version": 1}]
    second = world.get("/v1/models", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert second["models"] == [{"name": "two", "live_version": None}]
    assert world.get("/v1/models", tenant="umbrella").json() == {
        "models": [{"name": "one", "live_version": None}],
        "next_cursor": None,
    }


def test_versions_and_the_live_one_are_shown_with_their_lineage(world: World) -> None:
    versions = world.get("/v1/models/one/versions").json()["versions"]
    live = world.get("/v1/models/one/live").json()
    assert [version["version"] for version in versions] == [0, 1]
    assert versions[0]["lineage"] is None
    assert live == versions[1]
    assert (live["name"], live["labels"], live["metrics"]) == (
        "one",
        ["cat", "dog"],
        {"accuracy": 0.6},
    )
    assert live["lineage"]["parent"] == 0
    assert "snapshot_path" not in live["lineage"]


@pytest.mark.parametrize("path", ["two/live", "none/live", "none/versions"])
def test_what_is_not_there_is_not_found(world: World, path: str) -> None:
    found = problem(world.get(f"/v1/models/{path}"), 404, "model-not-found")
    assert found.detail == f"there is no model {path.partition('/')[0]}"


@pytest.mark.parametrize("name", ["umbrella%2Fone", "..%2Fumbrella%2Fone", "acme/one"])
def test_no_name_reaches_another_tenants_lines(world: World, name: str) -> None:
    assert world.get(f"/v1/models/{name}/live").status_code in {404, 422}
