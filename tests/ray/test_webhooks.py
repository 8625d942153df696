"""Webhooks of the whole service: a receiver on this machine is told, also after a kill."""

import json
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest
from standardwebhooks import Webhook
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from benchmarks.chaos.service import MusterUp
from serve_apps.client import MusterClient
from serve_apps.gateway.schemas.job_request import ItemBody, JobRequest, LabelBody
from tests.unit.gateway.serving import serving

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SETTINGS = {
    "MUSTER_EGRESS__HTTP_ALLOWED": "true",
    "MUSTER_EGRESS__PRIVATE_HOSTS": '["127.0.0.0/8"]',
    "MUSTER_EGRESS__PORTS": "[]",
}
REQUEST = JobRequest(
    name="animals",
    modality="text",
    labels=[LabelBody(name="cat"), LabelBody(name="dog")],
    items=[ItemBody(id="i0", text="meow")],
    base_model="fake",
)
TOLD_WITHIN_S = 120.0

Inbox = Queue[tuple[bytes, dict[str, str]]]


@pytest.fixture
def inbox() -> Inbox:
    return Queue()


@pytest.fixture
def endpoint(inbox: Inbox) -> Iterator[str]:
    async def receiver(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        inbox.put((await request.body(), dict(request.headers)))
        await Response(status_code=204)(scope, receive, send)

    with serving(receiver) as url:
        yield url


def test_a_receiver_is_told_of_a_ping_and_of_a_job_that_ends_after_a_kill(
    service: MusterUp, endpoint: str, inbox: Inbox
) -> None:
    with MusterClient(service.url, service.keys.client) as client:
        # Given an endpoint that a test message reaches
        made = client.add_webhook(endpoint, ["job.cancelled"])
        client.ping_webhook(made.id)
        assert told(inbox, made.secret)["type"] == "ping"
        # When all of the service is killed, and a job cancelled once it is back
        job = client.submit(REQUEST)
        service.kill()
        service.start()
        service.wait_ready()
        client.cancel(job.id)
        # Then the endpoint is told
        message = told(inbox, made.secret)
        assert (message["type"], message["data"]["job_id"]) == ("job.cancelled", job.id)


def told(inbox: Inbox, secret: str) -> dict[str, Any]:
    """Return the next message, verified."""
    body, headers = inbox.get(timeout=TOLD_WITHIN_S)
    Webhook(secret).verify(body, headers)
    found: dict[str, Any] = json.loads(body)
    return found
