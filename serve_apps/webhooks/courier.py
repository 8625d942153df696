"""Delivers messages: takes notices from the event log, sends what is due, stores what came of it.

The stores say what is to be done, so a courier that dies is replaced by another. An event is told
at least once: whoever dies between sending a message and storing that it was taken sends it again,
under the same id. An endpoint gets one request at a time, so a tenant holds no more of the courier
than it has endpoints, and whose message is due longest is next.
"""

import asyncio
from collections.abc import Awaitable, Callable

import httpx

from cluster.clock import Clock
from cluster.domain.webhooks import Attempt, Delivery, Webhook
from cluster.egress import EgressGuard, guarded_client
from cluster.errors import Unavailable
from cluster.ports import Stores
from cluster.settings import WebhookSettings
from cluster.telemetry import catalogue as told_of
from cluster.telemetry.port import Telemetry
from cluster.tenant_errors import ForbiddenUrl
from serve_apps.webhooks.attempts import judge
from serve_apps.webhooks.messages import signed_headers, told

NOTICES_AT_ONCE = 100
USER_AGENT = "Muster-Webhooks/1"
CLAIM_TTL_FACTOR = 4.0
"""How many time limits of a request a claim holds: long enough for a database that is busy."""


def announce(stores: Stores, telemetry: Telemetry, waiting_max: int) -> int:
    """Make deliveries of the events that webhooks were not told of; return how many events.

    Whoever dies half-way makes the same deliveries again, which changes nothing.
    """
    notices = stores.events.notices(NOTICES_AT_ONCE)
    deliveries = []
    for notice in notices:
        job = stores.jobs.load(notice.event.job_id)
        deliveries += [
            told(notice, job, webhook)
            for webhook in stores.webhooks.of_tenant(job.tenant_id)
            if notice.kind in webhook.kinds
        ]
    stores.deliveries.enqueue(deliveries, waiting_max)
    stores.events.drop_notices(notices)
    for notice in notices:
        telemetry.count(told_of.NOTICES, kind=notice.kind.value)
    return len(notices)


class Courier:
    """The deliveries of one deployment; belongs to one event loop."""

    def __init__(
        self,
        stores: Stores,
        settings: WebhookSettings,
        guard: EgressGuard,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._stores, self._settings, self._guard = stores, settings, guard
        self._clock, self._telemetry = clock, telemetry
        self._sending: set[asyncio.Task[None]] = set()

    def client(self) -> httpx.AsyncClient:
        """Return the client that sends messages, for the caller to close."""
        client = guarded_client(self._guard, self._settings.timeout_s)
        client.headers["user-agent"] = USER_AGENT
        return client

    async def run(self, pause: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Deliver until cancelled."""
        async with self.client() as http, asyncio.TaskGroup() as sending:
            while True:
                try:
                    busy = await self.look(http, sending)
                except Unavailable:
                    busy = False
                if not busy:
                    await pause(self._settings.look_every_s)

    async def look(self, http: httpx.AsyncClient, sending: asyncio.TaskGroup) -> bool:
        """Start what is due as far as there is room; return whether there may be more at once."""
        settings = self._settings
        announced = await asyncio.to_thread(
            announce, self._stores, self._telemetry, settings.waiting_max
        )
        room = settings.at_once_max - len(self._sending)
        if not room:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            return True
        now = self._clock.now()
        until = now + settings.timeout_s * CLAIM_TTL_FACTOR
        due = await asyncio.to_thread(self._stores.deliveries.claim, now, until, room)
        for webhook, delivery in due:
            task = sending.create_task(self._deliver(http, webhook, delivery))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return bool(announced or due)

    async def _deliver(self, http: httpx.AsyncClient, webhook: Webhook, delivery: Delivery) -> None:
        attempt = await self._attempt(http, webhook, delivery)
        verdict = judge(webhook, delivery, attempt, self._settings.retries_s)
        missed = "given_up" if verdict.due_at is None else "again"
        outcome = "taken" if attempt.is_success else missed
        self._telemetry.count(told_of.WEBHOOK_ATTEMPTS, outcome=outcome)
        try:
            await asyncio.to_thread(self._stores.deliveries.settle, delivery, verdict)
        except Unavailable:
            return  # the claim runs out, and the message is sent again

    async def _attempt(
        self, http: httpx.AsyncClient, webhook: Webhook, delivery: Delivery
    ) -> Attempt:
        """Send a message and return how it was answered, of which only the status is read."""
        headers = signed_headers(webhook, delivery, self._clock.now())
        timeout_s = self._settings.timeout_s
        status, error = None, None
        try:
            async with (
                asyncio.timeout(timeout_s),
                http.stream(
                    "POST", webhook.url, content=delivery.body.encode(), headers=headers
                ) as response,
            ):
                status = response.status_code
        except (TimeoutError, httpx.TimeoutException):
            error = f"no answer within {timeout_s:g} s"
        except ForbiddenUrl as forbidden:
            error = forbidden.reason
        except httpx.RequestError:
            error = "the connection failed or broke off"
        return Attempt(at=self._clock.now(), status=status, error=error)
