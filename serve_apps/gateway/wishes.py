"""What its owner wishes of a job, written beside whatever its runner writes at the same moment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel

from cluster.domain.ids import JobId
from cluster.domain.jobs import Amendment, Budget, Job, JobEvent
from cluster.errors import InvalidField, PreconditionFailed, StaleRevision, StoreBusy
from serve_apps.gateway.acting import Actor
from serve_apps.gateway.etags import etag_of, expected
from serve_apps.gateway.schemas.job_change import JobChange
from serve_apps.gateway.services import Services

Wish = Callable[[Job], Job]

ATTEMPTS_MAX = 50
"""How often a wish is tried against a runner that saves at the same moment."""


def _no_figures(_: Job) -> Mapping[str, float]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How a job's history tells of a wish."""

    kind: str
    message: str
    figures: Callable[[Job], Mapping[str, float]] = _no_figures


AMENDED = Told(
    kind="amended",
    message="the job runs on other terms",
    figures=lambda job: {"weight": job.agreed.weight},
)
PAUSED = Told(kind="paused", message="the job is paused")
CANCELLING = Told(kind="cancelling", message="the job is to be cancelled")
RESUMED = Told(kind="resumed", message="the job goes on")


def grant(
    services: Services,
    actor: Actor,
    job_id: JobId,
    wish: Wish,
    action: str,
    told: Told | None = None,
    if_match: str | None = None,
    asked: BaseModel | None = None,
) -> Job:
    """Store a wish with what tells of it, where it changes the job, and return the job.

    It is tried again where the runner saves at the same moment. Raises PreconditionFailed where
    the job's tag is not among those of `if_match`, and StoreBusy where it never comes through.
    """
    jobs = services.stores.jobs
    for _ in range(ATTEMPTS_MAX):
        job = jobs.get(actor.tenant_id, job_id)
        if not expected(if_match, etag_of(job.revision)):
            raise PreconditionFailed(f"job {job_id}", etag_of(job.revision))
        wished = wish(job)
        if replace(wished, updated_at=job.updated_at) == job:
            return job
        try:
            return jobs.save(
                wished,
                [] if told is None else [_event(services, wished, told)],
                actor.act(action, job_id, asked),
            )
        except StaleRevision:
            continue
    raise StoreBusy(f"changing job {job_id}")


def _event(services: Services, job: Job, told: Told) -> JobEvent:
    return JobEvent(
        job_id=job.job_id,
        kind=told.kind,
        at=services.clock.now(),
        message=told.message,
        figures=told.figures(job),
    )


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
