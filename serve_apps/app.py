"""The composition root: starts every part of the service on the Ray this process has joined."""

from contextlib import ExitStack
from typing import Any

from ray import serve
from ray.actor import ActorHandle
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig

from allocation.actor import start_allocator
from cluster.settings import Settings
from serve_apps.gateway.deployment import gateway_app
from serve_apps.jobs.actor import start_supervisor
from serve_apps.prelabel.deployment import PRELABEL_APP, prelabel_deployment

GATEWAY_APP = "gateway"


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
