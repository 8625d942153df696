"""Batches: jobs over a file of chat completions that all ask for the same labels."""

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from cluster.domain.access import Caller
from cluster.domain.ids import JobId
from cluster.domain.items import RejectedRow
from cluster.domain.jobs import Job, JobState
from cluster.errors import EmptySource, InvalidField, JobNotFound
from cluster.jobs import request_cancel
from ingest.openai_batch import ENDPOINT, ChatRequest, first_request
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.acting import Acting
from serve_apps.gateway.adapters.openai.answers import refused_rows, told
from serve_apps.gateway.adapters.openai.files import (
    ERRORS,
    OUTPUT,
    made_file_id,
    open_file,
    upload_id_of,
)
from serve_apps.gateway.adapters.openai.moments import moments_of
from serve_apps.gateway.adapters.openai.refusals import PREFIX
from serve_apps.gateway.adapters.openai.schemas import (
    BatchErrors,
    BatchErrorView,
    BatchList,
    BatchRecord,
    BatchRequest,
    BatchView,
    RequestCounts,
    Status,
    Terms,
)
from serve_apps.gateway.adapters.records import Records
from serve_apps.gateway.handlers import field_error
from serve_apps.gateway.idempotency import HEADER, idempotency_key
from serve_apps.gateway.pages import limit_of
from serve_apps.gateway.schemas.job_request import JobRequest
from serve_apps.gateway.schemas.models import local_name
from serve_apps.gateway.services import Services
from serve_apps.gateway.strict_json import StrictJsonRoute
from serve_apps.gateway.submit import submit
from serve_apps.gateway.wishes import CANCELLING, grant

BATCHES = f"{PREFIX}/batches"
ERRORS_SHOWN_MAX = 50
WINDOW, WINDOW_S = "24h", 86_400.0

router = APIRouter(
    prefix=BATCHES, dependencies=[Depends(require_role("client"))], route_class=StrictJsonRoute
)

BatchId = Annotated[str, Path(max_length=200)]

_STATUS: dict[JobState, Status] = {
    JobState.QUEUED: "validating",
    JobState.INGESTING: "validating",
    JobState.PRELABELLING: "in_progress",
    JobState.ASKING: "in_progress",
    JobState.LEARNING: "in_progress",
    JobState.EXPORTING: "finalizing",
    JobState.COMPLETED: "completed",
    JobState.CANCELLED: "cancelled",
    JobState.FAILED: "failed",
    JobState.EXPIRED: "expired",
}


@router.post("")
def create_batch(
    request: BatchRequest,
    actor: Acting,
    services: Wired,
    idempotency: Annotated[str | None, Header(alias=HEADER)] = None,
) -> BatchView:
    """Submit a job over an uploaded file; its first line says what all ask for."""
    caller = actor.caller
    job_request = _job_request(request, _first(request, caller, services))
    retry_key = idempotency_key(idempotency, job_request)
    job, _ = submit(job_request, actor, services, retry_key)
    record = BatchRecord(
        id=f"batch_{job.job_id}",
        input_file_id=request.input_file_id,
        metadata=request.metadata,
    )
    _batches(caller, services).put(record.id, record)
    return _view(record, job, services)


@router.get("")
def list_batches(
    caller: Authenticated,
    services: Wired,
    limit: Annotated[int, Depends(limit_of)],
    after: Annotated[str | None, Query(max_length=200)] = None,
) -> BatchList:
    """List batches, newest first."""
    records, has_more = _batches(caller, services).page(after, limit, newest_first=True)
    found = tuple(_view(each, _job(each.id, caller, services), services) for each in records)
    first, last = (found[0].id, found[-1].id) if found else (None, None)
    return BatchList(data=found, first_id=first, last_id=last, has_more=has_more)


@router.get("/{batch_id}")
def retrieve_batch(batch_id: BatchId, caller: Authenticated, services: Wired) -> BatchView:
    """Show a batch."""
    return _view(_record(batch_id, caller, services), _job(batch_id, caller, services), services)


@router.post("/{batch_id}/cancel")
def cancel_batch(batch_id: BatchId, actor: Acting, services: Wired) -> BatchView:
    """Ask for a batch to be cancelled; what was delivered by then stays."""
    record = _record(batch_id, actor.caller, services)
    job = grant(
        services,
        actor,
        _job_id(batch_id),
        lambda job: request_cancel(job, services.clock.now()),
        "job.cancel",
        CANCELLING,
    )
    return _view(record, job, services)


def _first(request: BatchRequest, caller: Caller, services: Services) -> ChatRequest:
    """Return the first line of the file.

    Raises UploadNotFound, EmptySource and InvalidField, which names the line, and why.
    """
    bytes_max = services.settings.limits.row_bytes_max
    with open_file(request.input_file_id, caller, services) as stored:
        first = first_request(stored, bytes_max)
    if first is None:
        raise EmptySource(request.input_file_id)
    if isinstance(first, RejectedRow):
        raise InvalidField("input_file_id", f"line {first.line}: {first.detail}")
    return first


def _job_request(request: BatchRequest, first: ChatRequest) -> JobRequest:
    terms, kept = _terms(request), request.output_expires_after
    labels = _labels(first, terms)
    crowdless = terms.muster_accuracy is terms.muster_answers_max is terms.muster_cost_max is None
    asked = {
        "name": f"batch of {request.input_file_id}",
        "modality": "text",
        "labels": labels,
        "goal": {} if terms.muster_accuracy is None else {"accuracy": terms.muster_accuracy},
        "budget": {
            "answers_max": 0 if crowdless else terms.muster_answers_max,
            "cost_max": terms.muster_cost_max,
            "deadline_s": WINDOW_S,
        },
        "crowd": {"instructions": first.instructions},
        "base_model": terms.muster_base_model,
        "expires_after_s": None if kept is None else float(kept.seconds),
        "upload_id": upload_id_of(request.input_file_id),
        "format": "openai-batch",
        "label_field": first.question.label_field,
    }
    try:
        return JobRequest.model_validate(asked)
    except ValidationError as error:
        found = field_error({**error.errors()[0], "loc": ("body", *error.errors()[0]["loc"])})
        reason = f"cannot become a job: {found.pointer}: {found.detail}"
        raise InvalidField("input_file_id", reason) from None


def _terms(request: BatchRequest) -> Terms:
    metadata = request.metadata or {}
    ours = {name: value for name, value in metadata.items() if name.startswith("muster_")}
    try:
        return Terms.model_validate(ours)
    except ValidationError as error:
        wrong = error.errors()
        told_at = [{**each, "loc": ("body", "metadata", *each["loc"])} for each in wrong]
        raise RequestValidationError(told_at) from None


def _labels(first: ChatRequest, terms: Terms) -> list[str]:
    """Return the labels of the first line, or else of the metadata."""
    if terms.muster_labels is None:
        if not first.question.labels:
            reason = "line 1 names no labels in its response_format; give them in this field"
            raise InvalidField("metadata.muster_labels", f"{reason}, separated by commas")
        return list(first.question.labels)
    if first.question.labels:
        raise InvalidField("metadata.muster_labels", "the file's lines name labels, too")
    return [label.strip() for label in terms.muster_labels.split(",")]


def _view(record: BatchRecord, job: Job, services: Services) -> BatchView:
    moments = moments_of(services.stores.events, job.job_id)
    status = _STATUS[(moments.end or job.state) if job.state is JobState.EXPIRED else job.state]
    ended_at = moments.of(moments.end) or int(job.updated_at) if job.state.is_terminal else None
    progress = job.progress
    return BatchView(
        id=record.id,
        endpoint=ENDPOINT,
        errors=_errors(job, services),
        input_file_id=record.input_file_id,
        completion_window=WINDOW,
        status="cancelling" if job.cancel_requested and ended_at is None else status,
        output_file_id=made_file_id(job, OUTPUT),
        error_file_id=made_file_id(job, ERRORS),
        created_at=int(job.created_at),
        expires_at=int(job.created_at + WINDOW_S),
        in_progress_at=moments.of(JobState.PRELABELLING),
        finalizing_at=moments.of(JobState.EXPORTING),
        completed_at=ended_at if status == "completed" else None,
        failed_at=ended_at if status == "failed" else None,
        cancelling_at=moments.cancelling_at,
        cancelled_at=ended_at if status == "cancelled" else None,
        request_counts=RequestCounts(
            total=progress.items + progress.rejected,
            completed=progress.final - progress.model_failed,
            failed=progress.rejected + progress.model_failed,
        ),
        metadata=record.metadata,
        model=local_name(job.model_name),
    )


def _errors(job: Job, services: Services) -> BatchErrors | None:
    """Return the first lines that were refused, or why the batch has failed."""
    rows = islice(refused_rows(services.stores, job), ERRORS_SHOWN_MAX)
    found = [
        BatchErrorView(
            code=str(row["code"]), message=told(row), param=row["field"], line=row["line"]
        )
        for row in (rows if job.progress.rejected else ())
    ]
    if job.failure is not None:
        found.insert(0, BatchErrorView(code="failed", message=job.failure, param=None, line=None))
    return BatchErrors(data=tuple(found)) if found else None


def _record(batch_id: str, caller: Caller, services: Services) -> BatchRecord:
    record = _batches(caller, services).find(batch_id)
    if record is None:
        raise JobNotFound(JobId(batch_id))
    return record


def _job(batch_id: str, caller: Caller, services: Services) -> Job:
    return services.stores.jobs.get(caller.tenant_id, _job_id(batch_id))


def _job_id(batch_id: str) -> JobId:
    return JobId(batch_id.removeprefix("batch_"))


def _batches(caller: Caller, services: Services) -> Records[BatchRecord]:
    return Records(services.stores.objects, caller.tenant_id, "openai-batches", BatchRecord)
