"""The courier over real HTTP: what receivers get, and what becomes of those that do not take it."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook as Verifier
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from cluster.domain.ids import TenantId
from cluster.domain.jobs import JobState
from cluster.domain.webhooks import Webhook, WebhookKind, WebhookState
from cluster.egress import EgressGuard
from cluster.errors import StoreBusy
from cluster.ports import Stores
from cluster.settings import EgressSettings, WebhookSettings
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from cluster.telemetry.memory import MemoryTelemetry
from serve_apps.webhooks.courier import Courier, announce
from serve_apps.webhooks.messages import ping, secret_of
from tests.conformance import samples
from tests.unit.allocation.worlds import ManualClock
from tests.unit.gateway.serving import serving

SECRET = secret_of(bytes(32))
SETTINGS = WebhookSettings(timeout_s=0.5)


@dataclass
class Receiver:
    """An endpoint that checks what it gets, and answers as it is told, then with 204.

    `got` are the ids and the messages, `raw` the bodies and the headers.
    """

    answers: list[int] = field(default_factory=list)
    got: list[tuple[str, Any]] = field(default_factory=list)
    raw: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        headers = dict(request.headers)
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        signed = Verifier(SECRET).sign(headers["webhook-id"], at, body.decode())
        assert headers["webhook-signature"] == signed
        self.got.append((headers["webhook-id"], json.loads(body)))
        self.raw.append((body, headers))
        status = self.answers.pop(0) if self.answers else 204
        inside = [(b"location", b"http://169.254.169.254/")]
        await send({"type": "http.response.start", "status": status, "headers": inside})
        await send({"type": "http.response.body", "body": b"x" * 1_000})


@dataclass
class World:
    stores: Stores = field(default_factory=lambda: memory_stores(MemoryObjects()))
    clock: ManualClock = field(default_factory=ManualClock)
    receiver: Receiver = field(default_factory=Receiver)
    url: str = ""
    telemetry: MemoryTelemetry = field(default_factory=MemoryTelemetry)

    def __post_init__(self) -> None:
        self.clock.time = time.time()

    @property
    def webhook(self) -> Webhook:
        return self.stores.webhooks.get(samples.TENANT, "whk-1")

    def register(self, webhook_id: str = "whk-1", tenant: TenantId = samples.TENANT) -> Webhook:
        kinds = frozenset({WebhookKind.JOB_COMPLETED, WebhookKind.JOB_PAUSED})
        webhook = replace(
            samples.webhook(webhook_id, tenant), url=self.url, secret=SECRET, kinds=kinds
        )
        self.stores.webhooks.add(webhook, 10)
        return webhook

    def complete(self, number: int = 1, tenant: TenantId = samples.TENANT) -> None:
        """End a job, as its runner does."""
        job = samples.job(number, tenant, JobState.EXPORTING)
        self.stores.jobs.create(job, None)
        ended = replace(job, state=JobState.COMPLETED)
        event = replace(samples.event(), job_id=job.job_id, at=self.clock.now())
        self.stores.jobs.save(ended, [event])

    def deliver(self, guard: EgressGuard | None = None) -> None:
        """Send what is due now and wait for what comes of it."""
        courier = Courier(self.stores, SETTINGS, guard or listed(), self.clock, self.telemetry)

        async def all_due() -> None:
            async with courier.client() as http:
                busy = True
                while busy:
                    async with asyncio.TaskGroup() as sending:
                        busy = await courier.look(http, sending)

        asyncio.run(all_due())

    def wait(self, seconds: float) -> None:
        self.clock.time += seconds


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    with serving(world.receiver) as url:
        world.url = f"http://hooks.test:{httpx.URL(url).port}/in?a=b"
        yield world


def test_a_receiver_is_told_that_a_job_is_done_and_can_verify_it(world: World) -> None:
    world.register()
    world.complete()

    world.deliver()
    world.deliver()

    ((body, headers),) = world.receiver.raw
    message = Verifier(SECRET).verify(body, headers)
    assert headers["webhook-id"] == "msg_job-0001_1"
    assert (message["type"], message["data"]["job_id"]) == ("job.completed", "job-0001")
    assert world.webhook.last_success_at == world.clock.now()
    assert world.webhook.due_at is None
    assert world.stores.events.notices(10) == ()


def test_a_proxy_of_the_environment_is_no_way_around_the_guard(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    world.register()
    world.complete()

    world.deliver()

    assert len(world.receiver.got) == 1


def test_only_its_tenant_is_told_and_only_of_what_it_asked_for(world: World) -> None:
    world.register()
    world.register("whk-2", TenantId("rival"))
    world.stores.jobs.create(samples.job(2), None)
    world.stores.events.append([replace(samples.event("resumed"), job_id=samples.job(2).job_id)])
    world.complete(3, TenantId("rival"))

    world.deliver()

    assert [message["data"]["job_id"] for _, message in world.receiver.got] == ["job-0003"]
    assert world.webhook.last_attempt is None


def test_a_refused_message_comes_again_with_the_same_id_by_the_schedule(world: World) -> None:
    # Given a receiver that is down for the first three attempts
    world.receiver.answers = [500, 302, 429]
    world.register()
    world.complete()

    # When time goes on
    tries = []
    for wait_s in (0.0, 4.9, 0.1, 299.0, 1.0, 1_800.0):
        world.wait(wait_s)
        world.deliver()
        tries.append(len(world.receiver.got))

    # Then it is tried at once, after 5 s, 5 min and 30 min, and is one message all the time
    assert tries == [1, 1, 2, 2, 3, 4]
    assert len({message_id for message_id, _ in world.receiver.got}) == 1
    assert world.webhook.last_attempt is not None
    assert world.webhook.last_attempt.status == 204


def test_a_receiver_that_is_gone_is_told_nothing_more(world: World) -> None:
    world.receiver.answers = [410]
    world.register()
    world.complete(1)
    world.complete(2)

    world.deliver()
    world.complete(3)
    world.deliver()

    assert len(world.receiver.got) == 1
    assert world.webhook.state is WebhookState.GONE


def test_a_day_of_outage_loses_nothing(world: World) -> None:
    # Given a receiver that is down while three jobs end
    world.receiver.answers = [503] * 100
    world.register()
    for number in (1, 2, 3):
        world.complete(number)
    for _ in range(24):
        world.deliver()
        world.wait(3_600.0)
    # When it is back
    world.receiver.answers.clear()
    world.receiver.got.clear()
    for _ in range(24):
        world.wait(3_600.0)
        world.deliver()
    # Then it is told of all of them
    told = sorted(message["data"]["job_id"] for _, message in world.receiver.got)
    assert told == ["job-0001", "job-0002", "job-0003"]


def test_an_endpoint_that_never_answers_is_given_up_after_three_days(world: World) -> None:
    world.url = "http://hooks.test:1/"  # where nobody listens
    world.register()
    world.complete()
    for _ in range(80):
        world.deliver()
        world.wait(3_600.0)
    assert world.webhook.state is WebhookState.FAILING
    assert world.webhook.last_attempt is not None
    assert world.webhook.last_attempt.error == "the connection failed or broke off"


def test_a_receiver_that_hangs_is_left_after_the_time_limit() -> None:
    world = World()

    async def hanging(_: Scope, __: Receive, ___: Send) -> None:
        await asyncio.sleep(2.0)

    with serving(hanging) as url:
        world.url = f"http://hooks.test:{httpx.URL(url).port}/"
        world.register()
        world.complete()
        world.deliver()

    assert world.webhook.last_attempt is not None
    assert world.webhook.last_attempt.error == "no answer within 0.5 s"


def test_a_name_that_has_come_to_lead_inside_is_not_called(world: World) -> None:
    # Given an endpoint that was public when it was registered
    world.register()
    world.complete()
    # When its name leads to this machine, which the operator does not list
    settings = EgressSettings(http_allowed=True, ports=())
    world.deliver(EgressGuard(settings, lambda _, __: ("127.0.0.1",)))
    # Then nothing is sent, and its owner can see why
    assert world.receiver.got == []
    assert world.webhook.last_attempt is not None
    assert world.webhook.last_attempt.error == "its host has an address that is not public"
    assert world.webhook.due_at == world.clock.now() + 5.0


def test_an_endpoint_gets_one_request_at_a_time(world: World) -> None:
    # Given an endpoint of one tenant with much to be told, and one of another
    for number in range(5):
        world.complete(number)
    world.register()
    world.register("whk-2", TenantId("rival"))
    world.complete(9, TenantId("rival"))
    announce(world.stores, world.telemetry, 100)

    claimed = world.stores.deliveries.claim(world.clock.now(), world.clock.now() + 60.0, 10)

    assert sorted(webhook.webhook_id for webhook, _ in claimed) == ["whk-1", "whk-2"]


def test_announcing_again_after_a_crash_changes_nothing(world: World) -> None:
    # Given somebody who made the deliveries and could not drop the notices
    world.register()
    world.complete()
    events: Any = Stumbling(world.stores.events, "drop_notices")
    dying = replace(world.stores, events=events)
    with pytest.raises(StoreBusy):
        announce(dying, world.telemetry, 10)
    # When another one goes on
    assert announce(world.stores, world.telemetry, 10) == 1
    world.deliver()
    # Then the message was sent once
    assert len(world.receiver.got) == 1


def test_the_loop_outlives_a_store_that_is_busy(world: World) -> None:
    # Given a message that is due, and an event log that is busy at the first look
    webhook = world.register()
    world.stores.deliveries.enqueue([ping(webhook, "1", world.clock.now())], 10)
    events: Any = Stumbling(world.stores.events, "notices")
    courier = Courier(
        replace(world.stores, events=events), SETTINGS, listed(), world.clock, world.telemetry
    )

    async def until_told(seconds: float) -> None:
        assert seconds == SETTINGS.look_every_s
        if world.webhook.last_attempt is not None:
            raise Told

    # When the courier runs until its message has arrived
    with pytest.RaisesGroup(Told):
        asyncio.run(courier.run(until_told))

    # Then it has
    assert events.stumbled
    assert [message["type"] for _, message in world.receiver.got] == ["ping"]


class Told(Exception):
    """Ends a courier's run."""


class Stumbling:
    """An event log that is busy when one of its methods is called for the first time."""

    def __init__(self, inner: Any, method: str) -> None:
        self._inner, self._method, self.stumbled = inner, method, False

    def __getattr__(self, name: str) -> Any:
        if name == self._method and not self.stumbled:
            self.stumbled = True
            raise StoreBusy(name)
        return getattr(self._inner, name)


def listed() -> EgressGuard:
    """Return a guard that knows one name, of this machine, and lets it pass."""
    settings = EgressSettings(http_allowed=True, private_hosts=("hooks.test",), ports=())
    return EgressGuard(settings, lambda host, _: ("127.0.0.1",) if host == "hooks.test" else ())
