"""`muster webhooks` against a real service over real sockets."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from serve_apps.cli.main import app
from serve_apps.cli.options import REFUSED, WRONG_USE
from tests.unit.cli.test_commands import last_json
from tests.unit.gateway.serving import serving
from tests.unit.gateway.world import World

Webhooks = Callable[..., Result]
ENDPOINT = "https://hooks.example/in"


@pytest.fixture
def webhooks(tmp_path: Path) -> Iterator[Webhooks]:
    with (
        World.of(memory_stores(MemoryObjects()), tmp_path) as world,
        serving(world.http.app) as url,
    ):
        environment = {"MUSTER_URL": url, "MUSTER_KEY": world.key("client"), "COLUMNS": "200"}

        def run(*arguments: str) -> Result:
            return CliRunner().invoke(app, ["webhooks", *arguments], env=environment)

        yield run


def added(webhooks: Webhooks) -> dict[str, Any]:
    result = webhooks("add", ENDPOINT, "--events", "job.completed,job.failed", "--json")
    assert result.exit_code == 0, result.output
    return last_json(result)


def test_an_endpoint_is_added_and_its_secret_shown(webhooks: Webhooks) -> None:
    made = added(webhooks)
    assert made["events"] == ["job.completed", "job.failed"]
    assert made["secret"].startswith("whsec_")

    told = webhooks("add", ENDPOINT)

    assert told.exit_code == 0
    assert told.output.splitlines()[-1].startswith("whsec_")
    assert len(last_json(webhooks("list", "--json"))["webhooks"]) == 2
    assert webhooks("list").output.count(ENDPOINT) == 2


def test_an_endpoint_is_looked_after(webhooks: Webhooks) -> None:
    made = added(webhooks)
    rotated = last_json(webhooks("rotate", made["id"], "--json"))
    assert rotated["secret"] != made["secret"]
    assert last_json(webhooks("ping", made["id"], "--json"))["next_attempt_at"] is not None
    assert "enabled" in webhooks("enable", made["id"]).output
    assert last_json(webhooks("show", made["id"], "--json"))["last_attempt"] is None
    assert webhooks("remove", made["id"]).exit_code == 0
    assert webhooks("show", made["id"]).exit_code == REFUSED


def test_an_endpoint_that_must_not_be_called_is_refused(webhooks: Webhooks) -> None:
    refused = webhooks("add", "https://inside.example/")
    assert refused.exit_code == REFUSED
    assert "not public" in refused.output
    wrong = webhooks("add", ENDPOINT, "--events", "job.eaten")
    assert wrong.exit_code == WRONG_USE
