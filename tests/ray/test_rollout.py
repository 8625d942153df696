"""Online requests on real replicas while versions come and go: none fails, none is mixed up."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
import pytest
import ray
import torch
from ray import serve
from ray.serve.handle import DeploymentHandle

from cluster.domain.ids import KeyId, ModelName, TenantId
from cluster.domain.models import ModelRecord, ModelSpec
from cluster.model_settings import PrelabelSettings
from cluster.ports import Stores
from cluster.settings import RateSettings, Settings
from serve_apps.gateway.api import build_api
from serve_apps.gateway.deployment import open_services
from serve_apps.gateway.keys import mint
from serve_apps.gateway.services import Services
from serve_apps.prelabel.deployment import PRELABEL_APP, Prelabel, prelabel_deployment
from serve_apps.prelabel.fake import DIMENSIONS
from tests.model_lines import go_live
from tests.unit.prelabel.support import LABELS, model_spec
from training.config import Shape
from training.model import CrossFitted, build_heads

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

_logger = logging.getLogger(__name__)

LINE = ModelName("acme/line")
PATH = "/v1/models/line"
TURNS = 10
RATE_WANTED = 200.0
REQUESTS = 2_000
IN_FLIGHT_MAX = 32
"""Below what the replicas' queue holds: a box that is too slow is asked later, not refused."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        rates=RateSettings(client_per_s=1e6, client_burst=1_000_000),
        prelabel=PrelabelSettings(replicas_min=2, replicas_max=2, cpus_per_replica=0.1),
    )


@pytest.fixture(scope="module")
def handle(settings: Settings) -> Iterator[DeploymentHandle[Prelabel]]:
    ray.init("local", include_dashboard=False, num_cpus=2, log_to_driver=False)
    serve.start(proxy_location="Disabled")
    yield serve.run(prelabel_deployment(settings), name=PRELABEL_APP, route_prefix=None)
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()


@pytest.fixture
def services(settings: Settings, handle: DeploymentHandle[Prelabel]) -> Services:
    """A gateway's services over a line of two versions, each of which names itself."""
    del handle
    services = open_services(settings)
    for version in (1, 2):
        services.stores.models.add(
            ModelRecord(spec=naming(services.stores, version), lineage=None, created_at=0.0)
        )
    go_live(services.stores.lines, LINE, 1)
    return services


def naming(stores: Stores, version: int) -> ModelSpec:
    """Store a head that gives every item the label whose place is the version's number."""
    shape = Shape(kind="linear", features=DIMENSIONS, classes=len(LABELS), folds=2)
    heads = build_heads(shape)
    with torch.no_grad():
        for parameter in heads.parameters():
            parameter.zero_()
        bias = heads.state_dict()["linear.bias"].view(shape.folds, shape.classes)
        bias[:, version] = 5.0
    path = f"models/line/{version}.safetensors"
    stores.objects.write(path, CrossFitted(shape, heads).save())
    return replace(model_spec(version=version, weights_path=path), name=LINE)


@dataclass
class Reply:
    """What one request was answered."""

    status: int
    version: int = -1
    labels: frozenset[str] = frozenset()


@dataclass
class Gateway:
    """A client of the gateway, and all it was answered."""

    http: httpx.AsyncClient
    replies: list[Reply] = field(default_factory=list)
    more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def predict(self, number: int) -> Reply:
        items = [{"id": str(place), "text": f"text {number} {place}"} for place in range(3)]
        response = await self.http.post(f"{PATH}/predictions", json={"items": items})
        reply = Reply(response.status_code)
        if response.status_code == 200:
            found = response.json()
            reply.version = found["model_version"]
            reply.labels = frozenset(each["label"] for each in found["predictions"])
        async with self.more:
            self.replies.append(reply)
            self.more.notify_all()
        return reply

    async def answered(self, count: int) -> None:
        """Wait until that many requests have been answered."""
        async with self.more:
            await self.more.wait_for(lambda: len(self.replies) >= count)

    async def step(self, path: str, body: dict[str, int]) -> int:
        """Take a step and return the version that is live since."""
        response = await self.http.post(f"{PATH}/{path}", json=body)
        assert response.status_code == 200, response.text
        return int(response.json()["live"])


@asynccontextmanager
async def gateway(services: Services) -> AsyncIterator[Gateway]:
    key = mint(KeyId("acme"), TenantId("acme"), "client", 0.0, secrets.token_bytes(32))
    services.stores.keys.add(key.record)
    app = build_api(services)
    headers = {"Authorization": f"Bearer {key.text}"}
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as http,
    ):
        yield Gateway(http)


async def ask(client: Gateway) -> float:
    """Send requests on a timetable, whether or not earlier ones are answered; return the rate."""
    room, began_at = asyncio.Semaphore(IN_FLIGHT_MAX), time.monotonic()

    async def one(number: int) -> None:
        try:
            await client.predict(number)
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        for number in range(REQUESTS):
            await asyncio.sleep(began_at + number / RATE_WANTED - time.monotonic())
            await room.acquire()
            group.create_task(one(number))
    return REQUESTS / (time.monotonic() - began_at)


async def change(client: Gateway) -> None:
    """Promote version 2 and roll it back, ten times, at even shares of the answers.

    Whoever asks once a step is acknowledged gets the version that is live since.
    """
    for turn in range(2 * TURNS):
        await client.answered((turn + 1) * REQUESTS // (2 * TURNS + 1))
        if turn % 2 == 0:
            live = await client.step("live", {"version": 2, "expected_live": 1})
        else:
            live = await client.step("rollback", {"expected_live": 2})
        assert live == 2 - turn % 2
        assert (await client.predict(REQUESTS + turn)).version == live


def test_while_a_version_is_promoted_and_rolled_back_no_answer_fails_or_is_mixed_up(
    services: Services,
) -> None:
    # Given a line that is asked online all the time
    async def run() -> tuple[Gateway, float]:
        async with gateway(services) as client:
            await client.predict(-1)
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(ask(client))
                group.create_task(change(client))
            return client, asking.result()

    # When version 2 is promoted and rolled back ten times
    client, rate = asyncio.run(run())

    # Then every request was answered, by the version that is on its answer alone
    names = LABELS.names
    failed = [reply for reply in client.replies if reply.status != 200]
    wrong = [reply for reply in client.replies if reply.labels != {names[reply.version]}]
    _logger.warning("%.0f requests/s, %d failed, %d wrong", rate, len(failed), len(wrong))
    assert len(client.replies) == 1 + REQUESTS + 2 * TURNS
    assert (failed, wrong) == ([], [])
    assert {reply.version for reply in client.replies} == {1, 2}
