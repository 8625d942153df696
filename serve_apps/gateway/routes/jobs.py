"""Bulk jobs: submit, look at, cancel."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from cluster.domain.ids import JobId, TenantId
from cluster.domain.jobs import Job
from cluster.errors import StaleRevision
from cluster.jobs import request_cancel
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.etags import etag_of, matches
from serve_apps.gateway.idempotency import HEADER, idempotency_key
from serve_apps.gateway.pages import Cursor, limit_of
from serve_apps.gateway.schemas.job_request import JobRequest
from serve_apps.gateway.schemas.jobs import (
    EventPage,
    JobPage,
    JobView,
    event_view,
    job_view,
)
from serve_apps.gateway.services import Services
from serve_apps.gateway.strict_json import StrictJsonRoute
from serve_apps.gateway.submit import submit

router = APIRouter(
    prefix="/v1/jobs",
    tags=["jobs"],
    dependencies=[Depends(require_role("client"))],
    route_class=StrictJsonRoute,
)

JobPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""A job id in a path."""


@router.post("", status_code=201)
def submit_job(
    request: JobRequest,
    caller: Authenticated,
    services: Wired,
    response: Response,
    idempotency: Annotated[str | None, Header(alias=HEADER)] = None,
) -> JobView:
    """Submit a job; sent again with its Idempotency-Key it returns the job first made (200).

    The key with another body is refused. Item rows are checked while the job is ingested; what
    is refused there is in the job's error file.
    """
    job, replayed = submit(request, caller, services, idempotency_key(idempotency, request))
    if replayed:
        response.status_code = 200
        response.headers["Idempotency-Replayed"] = "true"
    response.headers["Location"] = f"/v1/jobs/{job.job_id}"
    response.headers["ETag"] = etag_of(job.revision)
    return job_view(job)


@router.get("")
def list_jobs(
    caller: Authenticated,
    services: Wired,
    limit: Annotated[int, Depends(limit_of)],
    cursor: Cursor = None,
) -> JobPage:
    """List the tenant's jobs, newest first."""
    after = None if cursor is None else JobId(cursor)
    jobs = services.stores.jobs.page(caller.tenant_id, after, limit)
    return JobPage(
        jobs=tuple(job_view(job) for job in jobs),
        next_cursor=jobs[-1].job_id if len(jobs) == limit else None,
    )


@router.get(
    "/{job_id}",
    response_model=JobView,
    responses={304: {"description": "The job has not changed", "content": {}}},
)
def show_job(
    job_id: JobPath,
    caller: Authenticated,
    services: Wired,
    response: Response,
    if_none_match: Annotated[str | None, Header()] = None,
) -> JobView | Response:
    """Show a job; with the ETag of an earlier answer as If-None-Match only if it changed."""
    job = services.stores.jobs.get(caller.tenant_id, JobId(job_id))
    etag = etag_of(job.revision)
    if matches(if_none_match, etag):
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return job_view(job)


@router.post("/{job_id}/cancel", status_code=202)
def cancel_job(job_id: JobPath, caller: Authenticated, services: Wired) -> JobView:
    """Ask for a job to be cancelled; what was delivered stays. A job that has ended is refused."""
    return job_view(_cancelled(services, caller.tenant_id, JobId(job_id)))


@router.get("/{job_id}/events")
def list_events(
    job_id: JobPath,
    caller: Authenticated,
    services: Wired,
    limit: Annotated[int, Depends(limit_of)],
    after: Annotated[int, Query(ge=0, lt=2**53)] = 0,
) -> EventPage:
    """List what happened to a job after an event number, in order."""
    job = services.stores.jobs.get(caller.tenant_id, JobId(job_id))
    events = services.stores.events.read(job.job_id, after, limit)
    return EventPage(
        events=tuple(event_view(event) for event in events),
        next_after=events[-1].seq if events else after,
    )


def _cancelled(services: Services, tenant_id: TenantId, job_id: JobId) -> Job:
    """Mark a job for cancelling, again and again where its runner saves at the same moment."""
    jobs = services.stores.jobs
    while True:
        job = jobs.get(tenant_id, job_id)
        marked = request_cancel(job, services.clock.now())
        if job.cancel_requested:
            return job
        try:
            return jobs.save(marked)
        except StaleRevision:
            continue
