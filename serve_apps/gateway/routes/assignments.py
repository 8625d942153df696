"""Push mode: questions of a job leased to many workers at once."""

from fastapi import APIRouter, Depends

from allocation.ports import Batch
from cluster.domain.ids import JobId
from cluster.errors import JobFinished, TooLarge
from serve_apps.gateway.access import Whole, Wired, require_role
from serve_apps.gateway.acting import Acting
from serve_apps.gateway.crews import crew_of
from serve_apps.gateway.routes.jobs import JobPath
from serve_apps.gateway.schemas.assignments import (
    AssignmentList,
    AssignmentRequest,
    assignment_view,
)
from serve_apps.gateway.strict_json import StrictJsonRoute

ASSIGNED_MAX = 1_000
"""Questions one request may ask for: a shard answers nobody else while it matches them."""

_HOUR_S = 3_600.0

router = APIRouter(
    prefix="/v1/jobs/{job_id}",
    tags=["jobs"],
    dependencies=[Depends(require_role("client"))],
    route_class=StrictJsonRoute,
)


@router.post("/assignments")
def assign(
    job_id: JobPath, request: AssignmentRequest, actor: Acting, services: Wired, whole: Whole
) -> AssignmentList:
    """Lease questions of a job to many workers at once, each to whom it suits best.

    The workers are those that keys of the job's tenant have registered (an admin: anybody's). Each
    gets up to `count` leases, by the rules of a claim, and answers them like claimed ones. A job
    that has ended is refused; one that asks nothing now leases nothing.
    """
    job = services.stores.jobs.get(actor.tenant_id, JobId(job_id))
    if job.state.is_terminal:
        raise JobFinished(job.job_id, job.state)
    counts = [seat.count for seat in request.workers]
    _bound("count", max(counts), services.settings.limits.claim_max)
    _bound("workers", sum(counts), ASSIGNED_MAX)
    crew = crew_of(actor.caller, [seat.worker_id for seat in request.workers], whole.stores)
    services.stores.audit.append(actor.act("job.assign", job.job_id, request))
    batch = Batch(job_id=job.job_id, wait_price=request.wait_price_per_hour / _HOUR_S)
    offers = services.crowd.assign(crew, counts, batch)
    made = zip(crew, offers, strict=True)
    return AssignmentList(
        assignments=tuple(assignment_view(who.worker_id, found) for who, found in made)
    )


def _bound(what: str, count: int, most: int) -> None:
    if count > most:
        raise TooLarge(what, count, most, "questions")
