"""A deployment like that of infra/k8s on one machine: Ray nodes, PostgreSQL, S3, doors between."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Self

import httpx
import yaml

from benchmarks.chaos.buckets import CREDENTIALS, Buckets
from benchmarks.chaos.nodes import RayNodes, free_port
from benchmarks.chaos.postgres import Postgres
from benchmarks.chaos.proxy import FaultProxy
from cluster.clock import SystemClock
from cluster.domain.ids import TenantId
from cluster.settings import Settings
from cluster.stores.opened import open_stores
from serve_apps.gateway.keys import ensure_development_keys

READY_TIMEOUT_S = 300.0
LOOK_EVERY_S = 0.2
CONTROLLER = "ray::ServeController"
SERVE_GONE_S = 20.0
LEASE_SECRET = "the secret of a deployment that is gone tonight"  # noqa: S105 - nobody's
TENANT, STRANGER = TenantId("fair"), TenantId("strange")


class NotReady(Exception):
    """The service did not answer in time."""


class Deployment:
    """The service as Serve applications on `nodes`; a context manager over all of its parts."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        *,
        workers: int = 2,
        of_workers: Mapping[str, str] | None = None,
    ) -> None:
        self._folder, self._stack = folder, ExitStack()
        self.database_disk, self.clock = folder / "disk", folder / "clock"
        self.gateways = int(settings["MUSTER_HTTP__REPLICAS"])
        self._controller_at = monotonic()
        self.http_port = free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.database_disk.mkdir(exist_ok=True)
        self.postgres, self.buckets = Postgres(self.database_disk), Buckets(folder)
        self.database = FaultProxy(self.postgres.port, seed=1)
        self.objects = FaultProxy(self.buckets.port, seed=2, http=True)
        database_url = Postgres.uri_at(self.database.port).replace(
            "postgresql:", "postgresql+psycopg:"
        )
        self._settings = {
            **settings,
            **CREDENTIALS,
            "MUSTER_DATA_DIR": str(folder / "data"),
            "MUSTER_DATABASE_URL": database_url,
            "MUSTER_OBJECTS_URI": Buckets.uri_at(self.objects.port),
            "MUSTER_LEASE_SECRET": LEASE_SECRET,
        }
        self.nodes = RayNodes(folder, workers, self._settings, of_workers or {})
        self.keys: Mapping[str, str] = {}
        self.stranger = ""

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for part in (self.postgres, self.buckets, self.database, self.objects):
                started.enter_context(part)
            self._mint()
            started.enter_context(self.nodes)
            self.deploy()
            self.wait_ready()
            self._stack = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def deploy(self) -> None:
        """Hand the applications to Serve, as KubeRay does; what runs already is left alone."""
        config = self._folder / "serve.yaml"
        config.write_text(yaml.safe_dump(self._config()))
        serve = Path(sys.executable).with_name("serve")
        subprocess.run(
            [serve, "run", "--non-blocking", "--address", self.nodes.address, config],
            env={**os.environ, **self._settings, "RAY_AUTH_MODE": "disabled"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=READY_TIMEOUT_S,
        )

    def mend(self) -> None:
        """Start again what Kubernetes would: nodes that have ended, and Serve where it is gone.

        A controller that was lost with its head comes back by itself, if it does at all, sooner
        than in `SERVE_GONE_S`.
        """
        for node in tuple(self.nodes.workers):
            if node.raylet is None:
                node.kill()
                self.nodes.replace(node)
        if self.nodes.titled(CONTROLLER):
            self._controller_at = monotonic()
        elif monotonic() > self._controller_at + SERVE_GONE_S:
            self.deploy()

    def is_ready(self) -> bool:
        """Whether every part answers."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5.0).is_success
        except httpx.TransportError:
            return False

    def wait_ready(self) -> None:
        """Return once every part answers; raises NotReady."""
        give_up_at, pause = monotonic() + READY_TIMEOUT_S, Event()
        while not self.is_ready():
            if monotonic() > give_up_at:
                raise NotReady(f"not in {READY_TIMEOUT_S} s")
            pause.wait(LOOK_EVERY_S)

    def _mint(self) -> None:
        """Make the keys of two tenants, and with them the tables."""
        settings = Settings(
            data_dir=self._folder / "data",
            database_url=self.postgres.url,
            objects_uri=f"file://{self._folder}",
        )
        keys = open_stores(settings).keys
        now = SystemClock().now()
        minted = ensure_development_keys(keys, TENANT, now, os.urandom)
        self.keys = {key.record.role: key.text for key in minted}
        strange = ensure_development_keys(keys, STRANGER, now, os.urandom)
        self.stranger = next(key.text for key in strange if key.record.role == "client")

    def _config(self) -> dict[str, object]:
        routes = {"core": None, "prelabel": None, "gateway": "/"}
        return {
            "proxy_location": "HeadOnly",
            "http_options": {"host": "127.0.0.1", "port": self.http_port},
            "logging_config": {"log_level": "WARNING", "enable_access_log": False},
            "applications": [
                {"name": name, "import_path": f"serve_apps.app:{name}", "route_prefix": route}
                for name, route in routes.items()
            ],
        }
