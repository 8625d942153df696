"""Route by foreign id: nobody learns or changes what is another tenant's, wherever it is named."""

import json
from pathlib import Path

import pytest

from cluster.settings import Settings
from cluster.stores.opened import open_stores
from tests.unit.gateway.foreign import (
    VERBS,
    probes,
    rivals_own,
    rivals_state,
    templates,
)
from tests.unit.gateway.forgetful import forget_to_check
from tests.unit.gateway.test_openapi import SNAPSHOT
from tests.unit.gateway.world import World


def test_no_route_leads_to_what_is_another_tenants(world: World) -> None:
    # Given something of every kind that is the rival's
    ids = rivals_own(world)
    before = rivals_state(world, ids)
    # When another tenant asks for each of them on every route, by every method it has
    asked = list(probes(world, ids))
    # Then nothing is told of, and nothing has changed
    assert [probe.fault for probe in asked if probe.fault] == []
    assert rivals_state(world, ids) == before
    assert len(asked) > 400


def test_every_route_with_an_id_is_asked(world: World) -> None:
    ids = rivals_own(world)
    asked = {(probe.method, probe.template) for probe in probes(world, ids) if probe.is_own_kind}
    document = json.loads(SNAPSHOT.read_text())["paths"]
    documented = {
        (method.upper(), path) for path in document if "{" in path for method in document[path]
    }
    assert documented <= asked
    found = templates(world)
    assert asked == {(method, path) for path in found for method in found[path] if method in VERBS}


def test_a_check_that_was_forgotten_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given stores in which somebody forgot to compare tenants
    with World.of(open_stores(Settings(data_dir=tmp_path)), tmp_path) as world:
        ids = rivals_own(world)
        forget_to_check(monkeypatch)
        # When all is asked for
        faults = [probe.fault for probe in probes(world, ids) if probe.fault]
    # Then jobs, uploads and webhooks leak, and it is told where
    for place in ("GET /v1/jobs/{job_id}", "/v1/uploads/{upload_id}", "/v1/webhooks/{webhook_id}"):
        assert any(place in fault for fault in faults), place
