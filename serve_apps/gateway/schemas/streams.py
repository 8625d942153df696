"""What a stream of a job's events tells beside them."""

from cluster.domain.jobs import Job, JobState
from serve_apps.gateway.schemas.base import Outgoing
from serve_apps.gateway.schemas.jobs import ProgressView


class ProgressEvent(Outgoing):
    """How a job stands; `eta_s` are the seconds its present stage will take at its present pace.

    `eta_s` is null where nobody can say, `cost` what was spent so far.
    """

    state: JobState
    paused: bool
    eta_s: float | None
    cost: float
    progress: ProgressView


def progress_event(job: Job, eta_s: float | None) -> ProgressEvent:
    """Return how a job stands, as a stream shows it."""
    return ProgressEvent(
        state=job.state,
        paused=job.paused,
        eta_s=None if eta_s is None else round(eta_s, 1),
        cost=job.progress.cost,
        progress=ProgressView.model_validate(job.progress),
    )
