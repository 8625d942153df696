"""The gateway on Ray Serve: each replica opens the stores for itself and serves the API."""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

import numpy as np
from fastapi import FastAPI
from ray import serve
from ray.serve import Application

from allocation.actor import RemoteShard
from allocation.router import ShardRouter
from cluster.clock import SystemClock
from cluster.domain.ids import KeyId
from cluster.egress import EgressGuard
from cluster.errors import Unavailable
from cluster.item_reader import ItemReader
from cluster.logs import set_up_logs
from cluster.settings import Settings
from cluster.stores.opened import open_stores
from cluster.stores.secrets import lease_secret
from cluster.telemetry.runtime import RayTelemetry
from cluster.tracing import open_tracing
from serve_apps.gateway.api import build_api
from serve_apps.gateway.measured import ToldByServe
from serve_apps.gateway.readiness import Readiness, parts_of
from serve_apps.gateway.services import Services, sortable_id
from serve_apps.gateway.trials import OnlineTrials
from serve_apps.prelabel.deployment import OnlineReplicas, prelabel_runs

DEPLOYMENT_NAME = "gateway"
_ID_RANDOM_BYTES = 10

IN_ONE_LOOP: Mapping[str, str] = MappingProxyType(
    {"RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0"}
)
"""The API runs on the loop that serves the sockets: nothing it awaits blocks, and where clients
come straight to the replicas (HAProxy), a slow one holds back what is sent to it."""

ONLINE_TIMEOUT_S = 30.0
"""How long an online request is waited for; a replica that starts anew takes some of it."""


class GatewayReplica:
    """One gateway; holds nothing that another one needs, so any may be killed at any time."""

    def __init__(self, settings: Settings) -> None:
        set_up_logs(level=settings.logs.level, as_json=settings.logs.as_json)
        self._services = open_services(settings)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return the API; Serve calls this once, after the constructor."""
        api = build_api(self._services)
        api.add_middleware(ToldByServe)
        return api

    async def check_health(self) -> None:
        """Fail where the stores cannot be used from here, so that Serve starts this one anew.

        A database that is only busy is no reason: another replica would find it as busy.
        """
        with suppress(Unavailable):
            await asyncio.to_thread(self._services.stores.keys.find, KeyId("health"))


def open_services(settings: Settings) -> Services:
    """Return the services of one gateway process; joins the allocator shards by their names."""
    stores, clock = open_stores(settings), SystemClock()
    shards = tuple(RemoteShard(shard_id) for shard_id in range(settings.allocator.shards))
    online = OnlineReplicas(ONLINE_TIMEOUT_S)
    return Services(
        stores=stores,
        crowd=ShardRouter(shards, np.random.default_rng(), lease_secret(settings)),
        online=online,
        trials=OnlineTrials(online, stores.traffic, settings.rollout, clock),
        items=ItemReader(stores.objects, stores.chunks),
        egress=EgressGuard(settings.egress),
        settings=settings,
        clock=clock,
        new_id=lambda: sortable_id(clock.now(), secrets.token_bytes(_ID_RANDOM_BYTES)),
        random_bytes=secrets.token_bytes,
        readiness=Readiness(parts_of(stores, shards, settings, prelabel_runs)),
        telemetry=RayTelemetry(),
        tracing=open_tracing(settings.traces, "gateway"),
    )


def gateway_app(settings: Settings) -> Application:
    """Return the gateway as a Serve application; settings travel to its replicas by value."""
    wrap = serve.deployment(
        name=DEPLOYMENT_NAME,
        num_replicas=settings.http.replicas,
        max_ongoing_requests=1_000,
        ray_actor_options={"num_cpus": 0.1, "runtime_env": {"env_vars": dict(IN_ONE_LOOP)}},
        health_check_period_s=2.0,
        health_check_timeout_s=10.0,
        graceful_shutdown_wait_loop_s=0.5,
        graceful_shutdown_timeout_s=10.0,
    )
    return wrap(serve.ingress()(GatewayReplica)).bind(settings)
