"""Every resource of the HTTP API as a typed method."""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from httpx_sse import EventSource

from cluster.domain.access import Role
from cluster.domain.pii import Clearance
from serve_apps.client.calls import (
    CURSOR_PAGE_ROWS,
    JSON_HEADERS,
    Calls,
    Retries,
    ServiceUnreachable,
    json_of,
)
from serve_apps.client.downloads import save
from serve_apps.client.happenings import Happening, HappeningReader
from serve_apps.client.resumable import TUS_HEADERS, blocks, upload_in_pieces
from serve_apps.gateway.etags import etag_of
from serve_apps.gateway.schemas.assignments import (
    AssignmentList,
    AssignmentRequest,
    AssignmentView,
)
from serve_apps.gateway.schemas.audit import AuditPage, EntryView
from serve_apps.gateway.schemas.formats import Format
from serve_apps.gateway.schemas.job_change import JobChange
from serve_apps.gateway.schemas.job_request import ItemBody, JobRequest
from serve_apps.gateway.schemas.jobs import EventPage, EventView, JobPage, JobView
from serve_apps.gateway.schemas.keys import KeyRequest, KeyView
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
from serve_apps.gateway.schemas.quotas import QuotaRequest, QuotaView
from serve_apps.gateway.schemas.results import (
    ProvisionalPage,
    ProvisionalView,
    ResultPage,
    ResultView,
)
from serve_apps.gateway.schemas.uploads import ListedUpload, UploadPage, UploadView
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

PIECES_FROM_BYTES = 8 * 2**20


class MusterClient:
    """Calls one Muster service with one API key; a context manager, safe to use from threads.

    Every method raises ClientProblem where the service refuses and ServiceUnreachable where it
    does not answer. Calls that are safe to repeat are, a bounded number of times; `submit`
    always sends an Idempotency-Key, so that a retry never makes a second job.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        retries: Retries | None = None,
        timeout_s: float = 60.0,
        wait: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._wait = wait
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=timeout_s, transport=transport
        )
        self._retries = retries or Retries()
        self._calls = Calls(self._http, self._retries, wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def upload(self, file: Path, *, pieces_from_bytes: int = PIECES_FROM_BYTES) -> UploadView:
        """Store a file for a job to read.

        One of `pieces_from_bytes` or more goes in pieces, and where the connection breaks or the
        service restarts it goes on from what has arrived.
        """
        if file.stat().st_size >= pieces_from_bytes:
            return upload_in_pieces(self._calls, file)
        size = file.stat().st_size
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        body = partial(blocks, file, 0, size)
        sent = self._calls.send("POST", "/v1/uploads", body=body, headers=headers)
        return UploadView.model_validate_json(sent.content)

    def uploads(self) -> Iterator[ListedUpload]:
        """Yield all uploads, newest first, those included that are not whole yet."""
        for page in self._calls.pages(UploadPage, "/v1/uploads"):
            yield from page.uploads

    def remove_upload(self, upload_id: str) -> None:
        """Delete an upload; a job that has still to read it will fail."""
        self._calls.send("DELETE", f"/v1/uploads/{upload_id}", headers=TUS_HEADERS)

    def submit(self, request: JobRequest, *, idempotency_key: str | None = None) -> JobView:
        """Submit a job; the same key with the same request is the same job."""
        headers = {"Idempotency-Key": idempotency_key or secrets.token_urlsafe(24)}
        return self._calls.post(JobView, "/v1/jobs", request, headers=headers)

    def job(self, job_id: str) -> JobView:
        """Return a job as it stands."""
        return self._calls.get(JobView, f"/v1/jobs/{job_id}")

    def jobs(self) -> Iterator[JobView]:
        """Yield all jobs, newest first."""
        for page in self._calls.pages(JobPage, "/v1/jobs"):
            yield from page.jobs

    def cancel(self, job_id: str) -> JobView:
        """Ask for a job to be cancelled."""
        return self._calls.post(JobView, f"/v1/jobs/{job_id}/cancel", None)

    def pause(self, job_id: str) -> JobView:
        """Ask for a job to be paused."""
        return self._calls.post(JobView, f"/v1/jobs/{job_id}/pause", None)

    def resume(self, job_id: str) -> JobView:
        """Go on with a paused job."""
        return self._calls.post(JobView, f"/v1/jobs/{job_id}/resume", None)

    def amend(self, job_id: str, change: JobChange, *, if_revision: int | None = None) -> JobView:
        """Change a job's weight or budget; fields that were not given stay as they are.

        With `if_revision` only if that is still the job's revision.
        """
        headers = {} if if_revision is None else {"If-Match": etag_of(if_revision)}
        return self._calls.patch(JobView, f"/v1/jobs/{job_id}", change, headers=headers)

    def assign(self, job_id: str, request: AssignmentRequest) -> tuple[AssignmentView, ...]:
        """Lease questions of a job to many workers; not repeated, for that could lease twice."""
        path = f"/v1/jobs/{job_id}/assignments"
        return self._calls.post(AssignmentList, path, request, repeatable=False).assignments

    def events(self, job_id: str, after: int = 0) -> tuple[EventView, ...]:
        """Return the next events of a job after an event number, at most 1,000 of them."""
        params = {"after": after, "limit": CURSOR_PAGE_ROWS}
        return self._calls.get(EventPage, f"/v1/jobs/{job_id}/events", params).events

    def follow(self, job_id: str, after: int = 0) -> Iterator[Happening]:
        """Yield what happens to a job, as it happens, until it has ended.

        That is its history after an event number, how it stands whenever that changes, and last
        the job as it ended. A connection that is lost is opened again, and nothing is missed.
        """
        reader = HappeningReader(str(self._http.base_url), self._retries, after)
        path = f"/v1/jobs/{job_id}/events/stream"
        while not reader.over:
            broken: ServiceUnreachable | None = None
            try:
                with self._calls.stream(path, headers=reader.headers) as response:
                    for event in EventSource(response).iter_sse():
                        happening = reader.read(event)
                        if happening is not None:
                            yield happening
            except ServiceUnreachable as error:
                broken = error
            if not reader.over:
                self._wait(reader.wait_s(broken))

    def errors(self, job_id: str) -> Iterator[Mapping[str, object]]:
        """Yield the rows that were refused, and the items on which the model failed."""
        with self._calls.stream(f"/v1/jobs/{job_id}/errors") as response:
            for line in response.iter_lines():
                yield json.loads(line)

    def results(self, job_id: str, *, follow_every_s: float | None = None) -> Iterator[ResultView]:
        """Yield final labels in delivery order; one with a higher `revision` corrects earlier ones.

        Ends with those there are now, or where `follow_every_s` is given only once the job has
        ended, looking for more that often.
        """
        params: dict[str, str | int] = {"limit": CURSOR_PAGE_ROWS}
        while True:
            page = self._calls.get(ResultPage, f"/v1/jobs/{job_id}/results", params)
            yield from page.results
            if page.next_cursor is None:
                return
            params["cursor"] = page.next_cursor
            if not page.results:
                if follow_every_s is None:
                    return
                self._wait(follow_every_s)

    def labels(self, job_id: str) -> Iterator[ProvisionalView]:
        """Yield provisional labels by position; they may still change."""
        for page in self._calls.pages(ProvisionalPage, f"/v1/jobs/{job_id}/labels"):
            yield from page.labels

    def export(self, job_id: str, file: Path, suffix: Format = "jsonl") -> None:
        """Download the finished data set; the file appears only once it is whole.

        A download that breaks off goes on where it was, and in CSV and Arrow begins again.
        """
        path, params = f"/v1/jobs/{job_id}/export", {"format": suffix}
        save(self._calls, path, params, file, self._wait, self._retries)

    def register_worker(self, request: WorkerRequest) -> WorkerView:
        """Register a worker; not repeated where the answer is lost, for that could make two."""
        return self._calls.post(WorkerView, "/v1/workers", request, repeatable=False)

    def worker(self, worker_id: str) -> WorkerDetail:
        """Return a worker, with what it has answered and earned so far."""
        return self._calls.get(WorkerDetail, f"/v1/workers/{worker_id}")

    def workers(self) -> Iterator[WorkerView]:
        """Yield the key's workers (with an admin key: all)."""
        for page in self._calls.pages(WorkerPage, "/v1/workers"):
            yield from page.workers

    def claim(self, worker_id: str, count: int = 1) -> tuple[OfferView, ...]:
        """Lease up to `count` items; where an answer is lost, its leases run out by themselves."""
        request = ClaimRequest(count=count)
        return self._calls.post(OfferList, f"/v1/workers/{worker_id}/claims", request).offers

    def leases(self, worker_id: str) -> tuple[OfferView, ...]:
        """Return what a worker holds, claimed or assigned; at most as much as may be claimed."""
        return self._calls.get(OfferList, f"/v1/workers/{worker_id}/leases").offers

    def answer(self, worker_id: str, answers: Sequence[AnswerBody]) -> tuple[AnswerResult, ...]:
        """Answer offers; each result says whether that answer is stored."""
        request = AnswerRequest(answers=list(answers))
        path = f"/v1/workers/{worker_id}/answers"
        return self._calls.post(AnswerResults, path, request).results

    def release(self, worker_id: str, tokens: Sequence[str]) -> int:
        """Give leases back and return how many were still held."""
        request = TokenRequest(tokens=list(tokens))
        return self._calls.post(Released, f"/v1/workers/{worker_id}/releases", request).released

    def heartbeat(self, worker_id: str, tokens: Sequence[str]) -> tuple[LeaseView, ...]:
        """Extend leases that are still held."""
        request = TokenRequest(tokens=list(tokens))
        return self._calls.post(LeaseList, f"/v1/workers/{worker_id}/heartbeats", request).leases

    def models(self) -> Iterator[ModelView]:
        """Yield the tenant's model lines by name."""
        for page in self._calls.pages(ModelPage, "/v1/models"):
            yield from page.models

    def model_versions(self, name: str) -> tuple[VersionView, ...]:
        """Return a line's versions, oldest first."""
        return self._calls.get(VersionList, f"/v1/models/{name}/versions").versions

    def live_model(self, name: str) -> VersionView:
        """Return the version of a line that pre-labels now."""
        return self._calls.get(VersionView, f"/v1/models/{name}/live")

    def model_history(self, name: str) -> Iterator[StepView]:
        """Yield how a line came to its live version, newest step first."""
        for page in self._calls.pages(StepPage, f"/v1/models/{name}/history"):
            yield from page.steps

    def make_live(
        self, name: str, version: int, *, expected_live: int | None = None, reason: str = ""
    ) -> StepView:
        """Make a version of a line live; with `expected_live` only if that one is now."""
        request = LiveRequest(version=version, expected_live=expected_live, reason=reason)
        return self._calls.post(StepView, f"/v1/models/{name}/live", request)

    def roll_back(
        self, name: str, *, expected_live: int | None = None, reason: str = ""
    ) -> StepView:
        """Make the version live again that was so before the live one.

        Not repeated where the answer is lost, for that could go back twice.
        """
        request = RollbackRequest(expected_live=expected_live, reason=reason)
        path = f"/v1/models/{name}/rollback"
        return self._calls.post(StepView, path, request, repeatable=False)

    def predict(self, name: str, items: Sequence[ItemBody]) -> PredictionList:
        """Label a few items now by the live version of a line."""
        request = PredictionRequest(items=list(items))
        return self._calls.post(PredictionList, f"/v1/models/{name}/predictions", request)

    def add_webhook(
        self, url: str, events: Sequence[Subscribed] = EVENTS, description: str = ""
    ) -> WebhookWithSecret:
        """Register an endpoint to be told of events; its secret is in this reply only."""
        request = WebhookRequest(url=url, events=list(events), description=description)
        return self._calls.post(WebhookWithSecret, "/v1/webhooks", request, repeatable=False)

    def webhooks(self) -> tuple[WebhookView, ...]:
        """Return all endpoints of the tenant."""
        return self._calls.get(WebhookList, "/v1/webhooks").webhooks

    def webhook(self, webhook_id: str) -> WebhookView:
        """Return an endpoint, with what came of the last attempt to tell it something."""
        return self._calls.get(WebhookView, f"/v1/webhooks/{webhook_id}")

    def rotate_webhook(self, webhook_id: str) -> WebhookWithSecret:
        """Give an endpoint another secret; for a time the old one signs, too."""
        path = f"/v1/webhooks/{webhook_id}/rotate"
        return self._calls.post(WebhookWithSecret, path, None, repeatable=False)

    def enable_webhook(self, webhook_id: str) -> WebhookView:
        """Send to an endpoint again that was given up."""
        return self._calls.post(WebhookView, f"/v1/webhooks/{webhook_id}/enable", None)

    def ping_webhook(self, webhook_id: str) -> WebhookView:
        """Send a test message; what came of it is in `last_attempt` a moment later."""
        return self._calls.post(WebhookView, f"/v1/webhooks/{webhook_id}/test", None)

    def remove_webhook(self, webhook_id: str) -> None:
        """Delete an endpoint and what was on its way to it."""
        self._calls.send("DELETE", f"/v1/webhooks/{webhook_id}")

    def quota(self) -> QuotaView:
        """Return what the tenant may have, and has."""
        return self._calls.get(QuotaView, "/v1/quota")

    def set_quota(self, tenant_id: str, quotas: QuotaRequest) -> QuotaView:
        """Let a tenant's quotas differ from everybody's (with an admin key)."""
        path = f"/v1/quotas/{tenant_id}"
        sent = self._calls.send("PUT", path, body=json_of(quotas), headers=JSON_HEADERS)
        return QuotaView.model_validate_json(sent.content)

    def issue_key(
        self, tenant_id: str, role: Role, clearances: Sequence[Clearance] = ()
    ) -> KeyView:
        """Issue an API key (with an admin key); its text is in this reply only."""
        request = KeyRequest(tenant_id=tenant_id, role=role, clearances=list(clearances))
        return self._calls.post(KeyView, "/v1/keys", request, repeatable=False)

    def revoke_key(self, key_id: str) -> None:
        """Make a key useless from now on (with an admin key)."""
        self._calls.send("DELETE", f"/v1/keys/{key_id}")

    def audit(self, after: int = 0) -> Iterator[EntryView]:
        """Yield who did what, in order, after an entry's number (admin)."""
        while (page := self._calls.get(AuditPage, "/v1/audit", {"after": after})).entries:
            yield from page.entries
            after = page.next_after
