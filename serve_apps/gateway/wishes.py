"""What its owner wishes of a job, written beside whatever its runner writes at the same moment."""

from collections.abc import Callable
from dataclasses import replace

from cluster.domain.access import Caller
from cluster.domain.ids import JobId
from cluster.domain.jobs import Amendment, Budget, Job, JobEvent
from cluster.errors import InvalidField, PreconditionFailed, StaleRevision, StoreBusy
from serve_apps.gateway.etags import etag_of, expected
from serve_apps.gateway.schemas.job_change import JobChange
from serve_apps.gateway.services import Services

Wish = Callable[[Job], Job]

ATTEMPTS_MAX = 50
"""How often a wish is tried against a runner that saves at the same moment."""


def grant(
    services: Services, caller: Caller, job_id: JobId, wish: Wish, if_match: str | None = None
) -> tuple[Job, bool]:
    """Store a wish and return the job, and whether the wish changed it.

    It is tried again where the runner saves at the same moment. Raises PreconditionFailed where
    the job's tag is not among those of `if_match`, and StoreBusy where it never comes through.
    """
    jobs = services.stores.jobs
    for _ in range(ATTEMPTS_MAX):
        job = jobs.get(caller.tenant_id, job_id)
        if not expected(if_match, etag_of(job.revision)):
            raise PreconditionFailed(f"job {job_id}", etag_of(job.revision))
        wished = wish(job)
        if replace(wished, updated_at=job.updated_at) == job:
            return job, False
        try:
            return jobs.save(wished), True
        except StaleRevision:
            continue
    raise StoreBusy(f"changing job {job_id}")


def record(services: Services, job: Job, kind: str, message: str, **figures: float) -> None:
    """Add what the owner wished to the job's history."""
    now = services.clock.now()
    event = JobEvent(job_id=job.job_id, kind=kind, at=now, message=message, figures=figures)
    services.stores.events.append([event])


def amendment_of(job: Job, change: JobChange) -> Amendment:
    """Return the terms of a job after a change; what the change does not name stays.

    Raises InvalidField where it names nothing.
    """
    agreed = job.agreed
    changes = {} if change.budget is None else change.budget.model_dump(exclude_unset=True)
    if change.weight is None and not changes:
        raise InvalidField("weight", "give a weight, or a limit of the budget, to change")
    budget: Budget = replace(agreed.budget, **changes)
    weight = agreed.weight if change.weight is None else change.weight
    return Amendment(weight=weight, budget=budget)
