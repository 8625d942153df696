"""A gateway in a process of its own, for tests to kill: FOLDER PORT. Says when it listens."""

import secrets
import socket
import sys
from pathlib import Path
from typing import cast

import uvicorn

from allocation.ports import Crowd
from cluster.clock import SystemClock
from cluster.egress import EgressGuard
from cluster.item_reader import ItemReader
from cluster.settings import Limits, Settings
from cluster.stores.opened import open_stores
from cluster.telemetry.memory import MemoryTelemetry
from cluster.tracing import Tracing
from serve_apps.gateway.api import build_api
from serve_apps.gateway.online import OnlineModels
from serve_apps.gateway.services import Services, sortable_id
from serve_apps.gateway.trials import OnlineTrials

LIMITS = Limits(upload_part_bytes=20_000)


class SpeakingServer(uvicorn.Server):
    """A server that writes a line as soon as it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write("listening\n")
        sys.stdout.flush()


def uploads_only(folder: Path) -> Services:
    """Return the services of a gateway that has uploads to do and no crowd."""
    settings, clock = Settings(data_dir=folder, limits=LIMITS), SystemClock()
    stores = open_stores(settings)
    return Services(
        stores=stores,
        crowd=cast("Crowd", None),
        items=ItemReader(stores.objects, stores.chunks),
        egress=EgressGuard(settings.egress),
        online=cast("OnlineModels", None),
        trials=cast("OnlineTrials", None),
        settings=settings,
        clock=clock,
        new_id=lambda: sortable_id(clock.now(), secrets.token_bytes(10)),
        random_bytes=secrets.token_bytes,
        readiness=dict,
        telemetry=MemoryTelemetry(),
        tracing=Tracing(None),
    )


if __name__ == "__main__":
    app = build_api(uploads_only(Path(sys.argv[1])))
    SpeakingServer(uvicorn.Config(app, port=int(sys.argv[2]), log_level="warning")).run()
