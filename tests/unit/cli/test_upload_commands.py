"""`muster uploads` against a real service over real sockets."""

from pathlib import Path

from typer.testing import CliRunner, Result

from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from serve_apps.cli.main import app
from serve_apps.cli.options import REFUSED
from tests.unit.cli.test_commands import last_json
from tests.unit.gateway.serving import serving
from tests.unit.gateway.world import World


def test_uploads_are_listed_and_removed(tmp_path: Path) -> None:
    with (
        World.of(memory_stores(MemoryObjects()), tmp_path) as world,
        serving(world.http.app) as url,
    ):
        environment = {"MUSTER_URL": url, "MUSTER_KEY": world.key("client"), "COLUMNS": "200"}

        def uploads(*arguments: str) -> Result:
            return CliRunner().invoke(app, ["uploads", *arguments], env=environment)

        # Given two uploads
        for content in (bytes(1_234), b"x"):
            world.call("POST", "/v1/uploads", "client", content=content)
        # Then they are listed with their sizes
        newest, oldest = last_json(uploads("list", "--json"))["uploads"]
        assert (newest["size_bytes"], oldest["size_bytes"]) == (1, 1_234)
        assert "1,234" in uploads("list").output
        # And one that is removed is gone
        assert uploads("remove", oldest["id"]).exit_code == 0
        assert last_json(uploads("list", "--json"))["uploads"] == [newest]
        assert uploads("remove", oldest["id"]).exit_code == REFUSED
