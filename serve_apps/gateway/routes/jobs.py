"""Bulk jobs: submit, look at, pause, amend, cancel."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from cluster.domain.ids import JobId
from cluster.domain.jobs import Job
from cluster.jobs import amend, pause, request_cancel, resume
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.acting import Acting
from serve_apps.gateway.etags import etag_of, matches
from serve_apps.gateway.idempotency import HEADER, idempotency_key
from serve_apps.gateway.pages import Cursor, limit_of
from serve_apps.gateway.schemas.job_change import JobChange
from serve_apps.gateway.schemas.job_request import JobRequest
from serve_apps.gateway.schemas.jobs import (
    EventPage,
    JobPage,
    JobView,
    event_view,
    job_view,
)
from serve_apps.gateway.strict_json import StrictJsonRoute
from serve_apps.gateway.submit import submit
from serve_apps.gateway.wishes import (
    AMENDED,
    CANCELLING,
    PAUSED,
    RESUMED,
    amendment_of,
    grant,
)

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
    actor: Acting,
    services: Wired,
    response: Response,
    idempotency: Annotated[str | None, Header(alias=HEADER)] = None,
) -> JobView:
    """Submit a job; sent again with its Idempotency-Key it returns the job first made (200).

    The key with another body is refused. Item rows are checked while the job is ingested; what
    is refused there is in the job's error file.
    """
    job, replayed = submit(request, actor, services, idempotency_key(idempotency, request))
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


@router.patch("/{job_id}")
def change_job(
    job_id: JobPath,
    change: JobChange,
    actor: Acting,
    services: Wired,
    response: Response,
    if_match: Annotated[str | None, Header()] = None,
) -> JobView:
    """Change the weight or the budget of a job that has not ended, from now on.

    What the body does not name stays, and a limit of null is taken off. A limit below what is
    spent is refused. With If-Match only if the job is still as it was read (412).
    """

    def amended(job: Job) -> Job:
        return amend(job, amendment_of(job, change), services.clock.now())

    job = grant(
        services, actor, JobId(job_id), amended, "job.amend", AMENDED, if_match, asked=change
    )
    response.headers["ETag"] = etag_of(job.revision)
    return job_view(job)


@router.post("/{job_id}/pause", status_code=202)
def pause_job(job_id: JobPath, actor: Acting, services: Wired) -> JobView:
    """Pause a job: it asks nothing new and pre-labels nothing more until it is resumed.

    Who holds an item may still answer it, and is paid. The deadline goes on. A job that has ended
    is refused.
    """
    now = services.clock.now()
    job = grant(services, actor, JobId(job_id), lambda job: pause(job, now), "job.pause", PAUSED)
    return job_view(job)


@router.post("/{job_id}/resume", status_code=202)
def resume_job(job_id: JobPath, actor: Acting, services: Wired) -> JobView:
    """Go on with a paused job where it was. A job that has ended is refused."""
    now = services.clock.now()
    job = grant(services, actor, JobId(job_id), lambda job: resume(job, now), "job.resume", RESUMED)
    return job_view(job)


@router.post("/{job_id}/cancel", status_code=202)
def cancel_job(job_id: JobPath, actor: Acting, services: Wired) -> JobView:
    """Ask for a job to be cancelled; what was delivered stays. A job that has ended is refused."""
    job = grant(
        services,
        actor,
        JobId(job_id),
        lambda job: request_cancel(job, services.clock.now()),
        "job.cancel",
        CANCELLING,
    )
    return job_view(job)


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
