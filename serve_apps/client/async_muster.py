"""The resources of the HTTP API as typed methods, on an event loop."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self

import httpx
from httpx_sse import EventSource

from serve_apps.client.async_calls import AsyncCalls
from serve_apps.client.calls import CURSOR_PAGE_ROWS, Retries, ServiceUnreachable
from serve_apps.client.happenings import Happening, HappeningReader
from serve_apps.gateway.etags import etag_of
from serve_apps.gateway.schemas.assignments import (
    AssignmentList,
    AssignmentRequest,
    AssignmentView,
)
from serve_apps.gateway.schemas.job_change import JobChange
from serve_apps.gateway.schemas.job_request import ItemBody, JobRequest
from serve_apps.gateway.schemas.jobs import EventPage, EventView, JobPage, JobView
from serve_apps.gateway.schemas.models import (
    LiveRequest,
    ModelPage,
    ModelView,
    RollbackRequest,
    StepPage,
    StepView,
    VersionList,
    VersionView,
)
from serve_apps.gateway.schemas.predictions import PredictionList, PredictionRequest
from serve_apps.gateway.schemas.quotas import QuotaView
from serve_apps.gateway.schemas.results import (
    ProvisionalPage,
    ProvisionalView,
    ResultPage,
    ResultView,
)
from serve_apps.gateway.schemas.uploads import ListedUpload, UploadPage
from serve_apps.gateway.schemas.webhooks import (
    EVENTS,
    Subscribed,
    WebhookList,
    WebhookRequest,
    WebhookView,
    WebhookWithSecret,
)
from serve_apps.gateway.schemas.work import (
    AnswerBody,
    AnswerRequest,
    AnswerResult,
    AnswerResults,
    ClaimRequest,
    LeaseList,
    LeaseView,
    OfferList,
    OfferView,
    Released,
    TokenRequest,
    WorkerDetail,
    WorkerPage,
    WorkerRequest,
    WorkerView,
)


class AsyncMuster:
    """Calls one Muster service with one API key; an asynchronous context manager.

    Its methods are those of `MusterClient`, raise the same and repeat the same, and may run side
    by side. Files are sent and fetched with `MusterClient`: to read one blocks in any case.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        retries: Retries | None = None,
        timeout_s: float = 60.0,
        wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._wait = wait
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=timeout_s, transport=transport
        )
        self._retries = retries or Retries()
        self._calls = AsyncCalls(self._http, self._retries, wait)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def submit(self, request: JobRequest, *, idempotency_key: str | None = None) -> JobView:
        """Submit a job; the same key with the same request is the same job."""
        headers = {"Idempotency-Key": idempotency_key or secrets.token_urlsafe(24)}
        return await self._calls.post(JobView, "/v1/jobs", request, headers=headers)

    async def uploads(self) -> AsyncIterator[ListedUpload]:
        """Yield all uploads, newest first, those included that are not whole yet."""
        async for page in self._calls.pages(UploadPage, "/v1/uploads"):
            for upload in page.uploads:
                yield upload

    async def job(self, job_id: str) -> JobView:
        """Return a job as it stands."""
        return await self._calls.get(JobView, f"/v1/jobs/{job_id}")

    async def jobs(self) -> AsyncIterator[JobView]:
        """Yield all jobs, newest first."""
        async for page in self._calls.pages(JobPage, "/v1/jobs"):
            for job in page.jobs:
                yield job

    async def cancel(self, job_id: str) -> JobView:
        """Ask for a job to be cancelled."""
        return await self._calls.post(JobView, f"/v1/jobs/{job_id}/cancel", None)

    async def pause(self, job_id: str) -> JobView:
        """Ask for a job to be paused."""
        return await self._calls.post(JobView, f"/v1/jobs/{job_id}/pause", None)

    async def resume(self, job_id: str) -> JobView:
        """Go on with a paused job."""
        return await self._calls.post(JobView, f"/v1/jobs/{job_id}/resume", None)

    async def amend(
        self, job_id: str, change: JobChange, *, if_revision: int | None = None
    ) -> JobView:
        """Change a job's weight or budget; fields that were not given stay as they are.

        With `if_revision` only if that is still the job's revision.
        """
        headers = {} if if_revision is None else {"If-Match": etag_of(if_revision)}
        return await self._calls.patch(JobView, f"/v1/jobs/{job_id}", change, headers=headers)

    async def assign(self, job_id: str, request: AssignmentRequest) -> tuple[AssignmentView, ...]:
        """Lease questions of a job to many workers; not repeated, for that could lease twice."""
        path = f"/v1/jobs/{job_id}/assignments"
        return (await self._calls.post(AssignmentList, path, request, repeatable=False)).assignments

    async def events(self, job_id: str, after: int = 0) -> tuple[EventView, ...]:
        """Return the next events of a job after an event number, at most 1,000 of them."""
        params = {"after": after, "limit": CURSOR_PAGE_ROWS}
        return (await self._calls.get(EventPage, f"/v1/jobs/{job_id}/events", params)).events

    async def follow(self, job_id: str, after: int = 0) -> AsyncIterator[Happening]:
        """Yield what happens to a job, as it happens, until it has ended.

        That is its history after an event number, how it stands whenever that changes, and last
        the job as it ended. A connection that is lost is opened again, and nothing is missed.
        """
        reader = HappeningReader(str(self._http.base_url), self._retries, after)
        path = f"/v1/jobs/{job_id}/events/stream"
        while not reader.over:
            broken: ServiceUnreachable | None = None
            try:
                async with self._calls.stream(path, headers=reader.headers) as response:
                    async for event in EventSource(response).aiter_sse():
                        happening = reader.read(event)
                        if happening is not None:
                            yield happening
            except ServiceUnreachable as error:
                broken = error
            if not reader.over:
                await self._wait(reader.wait_s(broken))

    async def results(
        self, job_id: str, *, follow_every_s: float | None = None
    ) -> AsyncIterator[ResultView]:
        """Yield final labels in delivery order; one with a higher `revision` corrects earlier ones.

        Ends with those there are now, or where `follow_every_s` is given only once the job has
        ended, looking for more that often.
        """
        params: dict[str, str | int] = {"limit": CURSOR_PAGE_ROWS}
        while True:
            page = await self._calls.get(ResultPage, f"/v1/jobs/{job_id}/results", params)
            for result in page.results:
                yield result
            if page.next_cursor is None:
                return
            params["cursor"] = page.next_cursor
            if not page.results:
                if follow_every_s is None:
                    return
                await self._wait(follow_every_s)

    async def labels(self, job_id: str) -> AsyncIterator[ProvisionalView]:
        """Yield provisional labels by position; they may still change."""
        async for page in self._calls.pages(ProvisionalPage, f"/v1/jobs/{job_id}/labels"):
            for label in page.labels:
                yield label

    async def register_worker(self, request: WorkerRequest) -> WorkerView:
        """Register a worker; not repeated where the answer is lost, for that could make two."""
        return await self._calls.post(WorkerView, "/v1/workers", request, repeatable=False)

    async def worker(self, worker_id: str) -> WorkerDetail:
        """Return a worker, with what it has answered and earned so far."""
        return await self._calls.get(WorkerDetail, f"/v1/workers/{worker_id}")

    async def workers(self) -> AsyncIterator[WorkerView]:
        """Yield the key's workers (with an admin key: all)."""
        async for page in self._calls.pages(WorkerPage, "/v1/workers"):
            for worker in page.workers:
                yield worker

    async def claim(self, worker_id: str, count: int = 1) -> tuple[OfferView, ...]:
        """Lease up to `count` items; where an answer is lost, its leases run out by themselves."""
        path, request = f"/v1/workers/{worker_id}/claims", ClaimRequest(count=count)
        return (await self._calls.post(OfferList, path, request)).offers

    async def leases(self, worker_id: str) -> tuple[OfferView, ...]:
        """Return what a worker holds, claimed or assigned; at most as much as may be claimed."""
        return (await self._calls.get(OfferList, f"/v1/workers/{worker_id}/leases")).offers

    async def answer(
        self, worker_id: str, answers: Sequence[AnswerBody]
    ) -> tuple[AnswerResult, ...]:
        """Answer offers; each result says whether that answer is stored."""
        path, request = f"/v1/workers/{worker_id}/answers", AnswerRequest(answers=list(answers))
        return (await self._calls.post(AnswerResults, path, request)).results

    async def release(self, worker_id: str, tokens: Sequence[str]) -> int:
        """Give leases back and return how many were still held."""
        path, request = f"/v1/workers/{worker_id}/releases", TokenRequest(tokens=list(tokens))
        return (await self._calls.post(Released, path, request)).released

    async def heartbeat(self, worker_id: str, tokens: Sequence[str]) -> tuple[LeaseView, ...]:
        """Extend leases that are still held."""
        path, request = f"/v1/workers/{worker_id}/heartbeats", TokenRequest(tokens=list(tokens))
        return (await self._calls.post(LeaseList, path, request)).leases

    async def models(self) -> AsyncIterator[ModelView]:
        """Yield the tenant's model lines by name."""
        async for page in self._calls.pages(ModelPage, "/v1/models"):
            for model in page.models:
                yield model

    async def model_versions(self, name: str) -> tuple[VersionView, ...]:
        """Return a line's versions, oldest first."""
        return (await self._calls.get(VersionList, f"/v1/models/{name}/versions")).versions

    async def live_model(self, name: str) -> VersionView:
        """Return the version of a line that pre-labels now."""
        return await self._calls.get(VersionView, f"/v1/models/{name}/live")

    async def model_history(self, name: str) -> AsyncIterator[StepView]:
        """Yield how a line came to its live version, newest step first."""
        async for page in self._calls.pages(StepPage, f"/v1/models/{name}/history"):
            for step in page.steps:
                yield step

    async def make_live(
        self, name: str, version: int, *, expected_live: int | None = None, reason: str = ""
    ) -> StepView:
        """Make a version of a line live; with `expected_live` only if that one is now."""
        request = LiveRequest(version=version, expected_live=expected_live, reason=reason)
        return await self._calls.post(StepView, f"/v1/models/{name}/live", request)

    async def roll_back(
        self, name: str, *, expected_live: int | None = None, reason: str = ""
    ) -> StepView:
        """Make the version live again that was so before the live one.

        Not repeated where the answer is lost, for that could go back twice.
        """
        request = RollbackRequest(expected_live=expected_live, reason=reason)
        path = f"/v1/models/{name}/rollback"
        return await self._calls.post(StepView, path, request, repeatable=False)

    async def predict(self, name: str, items: Sequence[ItemBody]) -> PredictionList:
        """Label a few items now by the live version of a line."""
        request = PredictionRequest(items=list(items))
        return await self._calls.post(PredictionList, f"/v1/models/{name}/predictions", request)

    async def add_webhook(
        self, url: str, events: Sequence[Subscribed] = EVENTS, description: str = ""
    ) -> WebhookWithSecret:
        """Register an endpoint to be told of events; its secret is in this reply only."""
        request = WebhookRequest(url=url, events=list(events), description=description)
        return await self._calls.post(WebhookWithSecret, "/v1/webhooks", request, repeatable=False)

    async def webhooks(self) -> tuple[WebhookView, ...]:
        """Return all endpoints of the tenant."""
        return (await self._calls.get(WebhookList, "/v1/webhooks")).webhooks

    async def webhook(self, webhook_id: str) -> WebhookView:
        """Return an endpoint, with what came of the last attempt to tell it something."""
        return await self._calls.get(WebhookView, f"/v1/webhooks/{webhook_id}")

    async def rotate_webhook(self, webhook_id: str) -> WebhookWithSecret:
        """Give an endpoint another secret; for a time the old one signs, too."""
        path = f"/v1/webhooks/{webhook_id}/rotate"
        return await self._calls.post(WebhookWithSecret, path, None, repeatable=False)

    async def enable_webhook(self, webhook_id: str) -> WebhookView:
        """Send to an endpoint again that was given up."""
        return await self._calls.post(WebhookView, f"/v1/webhooks/{webhook_id}/enable", None)

    async def ping_webhook(self, webhook_id: str) -> WebhookView:
        """Send a test message; what came of it is in `last_attempt` a moment later."""
        return await self._calls.post(WebhookView, f"/v1/webhooks/{webhook_id}/test", None)

    async def remove_webhook(self, webhook_id: str) -> None:
        """Delete an endpoint and what was on its way to it."""
        await self._calls.send("DELETE", f"/v1/webhooks/{webhook_id}")

    async def quota(self) -> QuotaView:
        """Return what the tenant may have, and has."""
        return await self._calls.get(QuotaView, "/v1/quota")
