"""What a job has given: final labels, the finished data set, rejected rows, provisional labels."""

from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.responses import StreamingResponse

from cluster import paths
from cluster.domain.access import Caller
from cluster.domain.ids import JobId
from cluster.domain.jobs import Job, JobState
from cluster.errors import InvalidField, JobNotReady, ObjectMissing, UnreadableSource
from cluster.model_failures import open_errors
from cluster.tenant_errors import JobExpired
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.acting import Acting
from serve_apps.gateway.downloads import attachment, download
from serve_apps.gateway.formats import (
    arrow_blocks,
    closing_after,
    csv_blocks,
    parquet_batches,
)
from serve_apps.gateway.pages import Cursor, limit_of, row_of
from serve_apps.gateway.provisional import provisional_page
from serve_apps.gateway.result_pages import PageFormat, format_accepted, rendered
from serve_apps.gateway.routes.jobs import JobPath
from serve_apps.gateway.schemas.formats import MEDIA_TYPES, STORED, Format
from serve_apps.gateway.schemas.results import ProvisionalPage, ResultPage
from serve_apps.gateway.services import Services
from serve_apps.gateway.tables import results_from

router = APIRouter(
    prefix="/v1/jobs/{job_id}", tags=["results"], dependencies=[Depends(require_role("client"))]
)

_STREAMS: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPES["jsonl"]: {}}}}
_EXPORTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {media_type: {} for media_type in MEDIA_TYPES.values()}},
    206: {"description": "The part of the file that Range asks for"},
    304: {"description": "The file is as If-None-Match says"},
    416: {"description": "There is no such part of the file"},
}
_PAGES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {MEDIA_TYPES[name]: {} for name in ("jsonl", "csv", "arrow")},
        "headers": {"Muster-Next-Cursor": {"schema": {"type": "string"}}},
    }
}


def kept_job(services: Services, caller: Caller, job_id: str) -> Job:
    """Return a job whose results are there; raises JobNotFound and JobExpired."""
    job = services.stores.jobs.get(caller.tenant_id, JobId(job_id))
    if job.state is JobState.EXPIRED:
        raise JobExpired(job.job_id)
    return job


@router.get("/results", response_model=ResultPage, responses=_PAGES)
def list_results(
    request: Request,
    job_id: JobPath,
    caller: Authenticated,
    services: Wired,
    limit: Annotated[int, Depends(limit_of)],
    cursor: Cursor = None,
    page_format: Annotated[PageFormat | None, Query(alias="format")] = None,
) -> ResultPage | Response:
    """List final labels in delivery order, also while the job runs.

    `format`, or else Accept, asks for JSON Lines, CSV or an Arrow stream instead of JSON; the next
    cursor is then in `Muster-Next-Cursor`, which is left out where it would be null.
    """
    # The job is read first: labels written after a terminal state do not exist.
    job = kept_job(services, caller, job_id)
    first_row = row_of(cursor)
    stores = services.stores
    results = tuple(results_from(stores.results, stores.objects, job.job_id, first_row, limit))
    ended = job.state.is_terminal and not results
    page = ResultPage(results=results, next_cursor=None if ended else str(first_row + len(results)))
    return rendered(page, page_format or format_accepted(request.headers.get("accept", "")))


@router.head("/export", response_class=StreamingResponse, responses=_EXPORTS)
@router.get("/export", response_class=StreamingResponse, responses=_EXPORTS)
def export(
    request: Request,
    job_id: JobPath,
    actor: Acting,
    services: Wired,
    file_format: Annotated[Format, Query(alias="format")] = "jsonl",
) -> Response:
    """Download the finished data set as one file; JSON Lines and Parquet also by Range.

    In CSV a text that a spreadsheet would run as a formula has an apostrophe in front. A job whose
    source is a manifest has one to give, too: the source's lines with their labels.
    """
    job = kept_job(services, actor.caller, job_id)
    if job.state is not JobState.COMPLETED:
        raise JobNotReady(job.job_id, job.state, "the export")
    if request.method == "GET":
        services.stores.audit.append(actor.act("job.export", job.job_id))
    name, media_type = f"{job.job_id}.{file_format}", MEDIA_TYPES[file_format]
    stored_as = file_format if file_format in STORED else "parquet"
    stored = _exported(services, job, stored_as)
    if file_format in STORED:
        version = str(job.revision)
        return download(request, stored, version=version, media_type=media_type, name=name)
    if request.method == "HEAD":
        stored.close()
        return StreamingResponse(iter(()), media_type=media_type, headers=attachment(name))
    schema, batches = parquet_batches(stored)
    blocks = csv_blocks if file_format == "csv" else arrow_blocks
    return StreamingResponse(
        closing_after(stored, blocks(schema, batches)),
        media_type=media_type,
        headers=attachment(name),
    )


def _exported(services: Services, job: Job, stored_as: Format) -> BinaryIO:
    """Open a finished job's data set; raises InvalidField and UnreadableSource for manifests."""
    source = job.spec.source
    if stored_as == "manifest" and source.format != "manifest":
        raise InvalidField("format", "the items of this job did not come from a manifest")
    try:
        return services.stores.objects.open_input(paths.export(job.job_id, stored_as))
    except ObjectMissing:
        if stored_as != "manifest":
            raise
        reason = "it was gone or had changed when the labels were exported"
        raise UnreadableSource(source.uri, reason) from None


@router.head("/errors", response_class=StreamingResponse, responses=_STREAMS)
@router.get("/errors", response_class=StreamingResponse, responses=_STREAMS)
def errors(request: Request, job_id: JobPath, caller: Authenticated, services: Wired) -> Response:
    """Download refused rows, then items on which the model failed, a JSON object each.

    Also by Range. The latter are there once all is pre-labelled.
    """
    job = kept_job(services, caller, job_id)
    media_type = MEDIA_TYPES["jsonl"]
    try:
        stored = open_errors(services.stores.objects, job.job_id)
    except ObjectMissing:
        if job.state in (JobState.QUEUED, JobState.INGESTING):
            raise JobNotReady(job.job_id, job.state, "the error file") from None
        return StreamingResponse(iter(()), media_type=media_type)
    name = f"{job.job_id}-errors.jsonl"
    return download(request, stored, version="errors", media_type=media_type, name=name)


@router.get("/labels")
def list_labels(
    job_id: JobPath,
    caller: Authenticated,
    services: Wired,
    limit: Annotated[int, Depends(limit_of)],
    cursor: Cursor = None,
) -> ProvisionalPage:
    """List what is believed of every item so far; these labels may still change."""
    job = kept_job(services, caller, job_id)
    return provisional_page(services, job, cursor, limit)
