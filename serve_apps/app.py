"""The composition root: starts every part of the service on the Ray this process has joined.

`start_service` does so from a driver that stays, as `muster up` is. On a cluster there is none:
there Ray Serve runs `prelabel`, `gateway` and `core` from a config that names them.
"""

from contextlib import ExitStack
from typing import Any

import ray
from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.actor import ActorHandle
from ray.serve import Application
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig

from allocation.actor import NAMESPACE, allocator_name, start_allocator
from cluster.settings import Settings, environment_settings
from cluster.stores.leadership import open_leadership
from cluster.telemetry.catalogue import LEADS
from cluster.telemetry.runtime import RayTelemetry
from serve_apps.gateway.deployment import gateway_app
from serve_apps.jobs.actor import SUPERVISOR, start_supervisor
from serve_apps.prelabel.deployment import PRELABEL_APP, prelabel_deployment

GATEWAY_APP = "gateway"

LEAD_LOOK_S = 2.0
"""How soon a cluster sees that it leads, or does no longer, or has lost an actor for good."""


class RunningService:
    """A started service; its actors live as long as this object and its process."""

    def __init__(self, actors: tuple[ActorHandle[Any], ...]) -> None:
        self._actors = actors

    def stop(self) -> None:
        """Let HTTP requests finish and end every part."""
        serve.shutdown()  # type: ignore[no-untyped-call]
        self._actors = ()


def start_service(settings: Settings) -> RunningService:
    """Start shards, replicas, gateways and the job supervisor, and return once all answer.

    Where that fails or is interrupted, what was started is ended again.
    """
    with ExitStack() as undone:
        undone.callback(serve.shutdown)
        service = _started(settings)
        undone.pop_all()
    return service


class NoArguments(BaseModel):
    """The `args` of an application in a Serve config: none, as its settings are the environment."""

    model_config = ConfigDict(extra="forbid")


def prelabel(_: NoArguments) -> Application:
    """Return the model replicas, with the settings of the environment."""
    return prelabel_deployment(environment_settings())


def gateway(_: NoArguments) -> Application:
    """Return the HTTP API, with the settings of the environment."""
    return gateway_app(environment_settings())


def core(_: NoArguments) -> Application:
    """Return what has the shards and the supervisor, with the settings of the environment."""
    configure = serve.deployment(
        name="core",
        num_replicas=1,
        ray_actor_options={"num_cpus": 0.1},
        health_check_period_s=LEAD_LOOK_S,
        health_check_timeout_s=10.0,
        graceful_shutdown_timeout_s=1.0,
    )
    return configure(Core).bind(environment_settings())


class Core:
    """Has the shards and the supervisor of a cluster as long as it leads; they die with it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._leadership = open_leadership(settings)
        self._telemetry = RayTelemetry()
        self._actors: dict[str, ActorHandle[Any]] = {}

    def check_health(self) -> None:
        """Start the actors where this cluster has come to lead, end them where it does no longer.

        Serve calls this again and again. Raises ValueError where an actor is lost for good, so that
        Serve starts this replica, and with it all of them, anew.
        """
        leads = self._leadership.held()
        self._telemetry.set(LEADS, float(leads))
        if not leads:
            self._end_actors()
        elif not self._actors:
            self._actors = self._started()
        else:
            for name, actor in self._actors.items():
                if ray.get_actor(name, NAMESPACE) != actor:
                    raise ValueError(f"another actor is called {name}")

    def _started(self) -> dict[str, ActorHandle[Any]]:
        shards = {
            allocator_name(shard_id): start_allocator(shard_id, self._settings, detached=False)
            for shard_id in range(self._settings.allocator.shards)
        }
        return {**shards, SUPERVISOR: start_supervisor(self._settings)}

    def _end_actors(self) -> None:
        for actor in self._actors.values():
            ray.kill(actor)
        self._actors = {}


def _started(settings: Settings) -> RunningService:
    quiet = LoggingConfig(log_level="WARNING", enable_access_log=False)
    serve.start(
        http_options=HTTPOptions(host=settings.http.host, port=settings.http.port),
        logging_config=quiet,
    )
    shards = [
        start_allocator(shard_id, settings, detached=False)
        for shard_id in range(settings.allocator.shards)
    ]
    serve.run(
        prelabel_deployment(settings), name=PRELABEL_APP, route_prefix=None, logging_config=quiet
    )
    serve.run(gateway_app(settings), name=GATEWAY_APP, route_prefix="/", logging_config=quiet)
    return RunningService((*shards, start_supervisor(settings)))
