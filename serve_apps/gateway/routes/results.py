"""What a job has given: final labels, the finished data set, rejected rows, provisional labels."""

from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import APIRouter, Depends, Query
from starlette.responses import StreamingResponse

from cluster import paths
from cluster.domain.ids import JobId
from cluster.domain.jobs import JobState
from cluster.errors import JobNotReady, ObjectMissing
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.pages import Cursor, limit_of, row_of
from serve_apps.gateway.provisional import provisional_page
from serve_apps.gateway.routes.jobs import JobPath
from serve_apps.gateway.schemas.results import ProvisionalPage, ResultPage
from serve_apps.gateway.tables import results_from

router = APIRouter(
    prefix="/v1/jobs/{job_id}", tags=["results"], dependencies=[Depends(require_role("client"))]
)

JSONL_MEDIA_TYPE = "application/jsonl"
PARQUET_MEDIA_TYPE = "application/vnd.apache.parquet"
BLOCK_BYTES = 2**20

_STREAMS: dict[int | str, dict[str, Any]] = {200: {"content": {JSONL_MEDIA_TYPE: {}}}}
_EXPORTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {JSONL_MEDIA_TYPE: {}, PARQUET_MEDIA_TYPE: {}}}
}


@router.get("/results")
def list_results(
    job_id: JobPath,
    caller: Authenticated,
    services: Wired,
    limit: Annotated[int, Depends(limit_of)],
    cursor: Cursor = None,
) -> ResultPage:
    """List final labels in delivery order, also while the job runs."""
    # The job is read first: labels written after a terminal state do not exist.
    job = services.stores.jobs.get(caller.tenant_id, JobId(job_id))
    first_row = row_of(cursor)
    stores = services.stores
    results = tuple(results_from(stores.results, stores.objects, job.job_id, first_row, limit))
    ended = job.state.is_terminal and not results
    return ResultPage(results=results, next_cursor=None if ended else str(first_row + len(results)))


@router.get("/export", response_class=StreamingResponse, responses=_EXPORTS)
def export(
    job_id: JobPath,
    caller: Authenticated,
    services: Wired,
    suffix: Annotated[Literal["jsonl", "parquet"], Query(alias="format")] = "jsonl",
) -> StreamingResponse:
    """Download the finished data set as one file."""
    job = services.stores.jobs.get(caller.tenant_id, JobId(job_id))
    if job.state is not JobState.COMPLETED:
        raise JobNotReady(job.job_id, job.state, "the export")
    media_type = JSONL_MEDIA_TYPE if suffix == "jsonl" else PARQUET_MEDIA_TYPE
    stored = services.stores.objects.open_input(paths.export(job.job_id, suffix))
    return _download(stored, media_type, f"{job.job_id}.{suffix}")


@router.get("/errors", response_class=StreamingResponse, responses=_STREAMS)
def errors(job_id: JobPath, caller: Authenticated, services: Wired) -> StreamingResponse:
    """Download the rows that were refused, one JSON object a line."""
    job = services.stores.jobs.get(caller.tenant_id, JobId(job_id))
    try:
        stored = services.stores.objects.open_input(paths.errors(job.job_id))
    except ObjectMissing:
        if job.state in (JobState.QUEUED, JobState.INGESTING):
            raise JobNotReady(job.job_id, job.state, "the error file") from None
        return StreamingResponse(iter(()), media_type=JSONL_MEDIA_TYPE)
    return _download(stored, JSONL_MEDIA_TYPE, f"{job.job_id}-errors.jsonl")


@router.get("/labels")
def list_labels(
    job_id: JobPath,
    caller: Authenticated,
    services: Wired,
    limit: Annotated[int, Depends(limit_of)],
    cursor: Cursor = None,
) -> ProvisionalPage:
    """List what is believed of every item so far; these labels may still change."""
    job = services.stores.jobs.get(caller.tenant_id, JobId(job_id))
    return provisional_page(services, job, cursor, limit)


def _download(stored: BinaryIO, media_type: str, name: str) -> StreamingResponse:
    return StreamingResponse(
        _blocks(stored),
        media_type=media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


def _blocks(stored: BinaryIO) -> Iterator[bytes]:
    with stored:
        while block := stored.read(BLOCK_BYTES):
            yield block
