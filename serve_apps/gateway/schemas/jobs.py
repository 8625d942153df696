"""Jobs on the wire, as their owner sees them."""

from datetime import datetime
from typing import Literal

from cluster.domain.items import Modality
from cluster.domain.jobs import Job, JobEvent, JobState, RecipeName
from cluster.domain.pii import PiiKind
from serve_apps.gateway.schemas.base import Outgoing, utc
from serve_apps.gateway.schemas.models import local_name


class LabelView(Outgoing):
    """A class of the label set."""

    name: str
    description: str


class ProgressView(Outgoing):
    """How far a job has come; counts of items unless named otherwise.

    On `poisoned` items the model has failed; `model_failed` of them are delivered though nobody has
    answered them either, and their labels mean nothing.
    """

    items: int
    rejected: int
    duplicates: int
    poisoned: int
    chunks: int
    prelabelled: int
    auto_accepted: int
    asked: int
    final: int
    model_failed: int = 0
    answers: int
    audit_answers: int
    cost: float
    rounds: int
    trainings: int
    trained_items: int
    open_questions: int
    expected_accuracy: float | None
    reachable_accuracy: float | None


class StratumView(Outgoing):
    """The certified accuracy of one part of the delivered labels."""

    name: Literal["auto", "crowd", "overall"]
    items: int
    audited: int
    accuracy_estimate: float
    accuracy_lower: float


class CertificateView(Outgoing):
    """Accuracy is at least `accuracy_lower` in each stratum, at `confidence`, whenever read."""

    confidence: float
    strata: tuple[StratumView, ...]


class GoalView(Outgoing):
    """The promise asked for."""

    accuracy: float
    confidence: float


class BudgetView(Outgoing):
    """Hard limits; null means unlimited."""

    answers_max: int | None
    cost_max: float | None
    deadline_s: float | None


class PiiView(Outgoing):
    """What of the texts is masked, and whether cleared workers see what was there."""

    mask: tuple[PiiKind, ...]
    score_min: float
    unmask_for_cleared: bool


class JobView(Outgoing):
    """A job as its owner sees it; `model` names its model line under /v1/models.

    `expires_at` is known once the job has ended.
    """

    id: str
    name: str
    modality: Modality
    labels: tuple[LabelView, ...]
    state: JobState
    goal: GoalView
    budget: BudgetView
    base_model: str
    model: str
    weight: float
    seed: int
    source_uri: str
    created_at: datetime
    updated_at: datetime
    revision: int
    cancel_requested: bool
    paused: bool
    progress: ProgressView
    certificate: CertificateView | None
    failure: str | None
    expires_after_s: float | None = None
    recipe: RecipeName = "auto"
    expires_at: datetime | None = None
    pii: PiiView | None = None


class JobPage(Outgoing):
    """Jobs, newest first; `next_cursor` is null on the last page."""

    jobs: tuple[JobView, ...]
    next_cursor: str | None


class EventView(Outgoing):
    """Something that happened to a job; `seq` counts from 1."""

    seq: int
    kind: str
    at: datetime
    message: str
    figures: dict[str, float]


class EventPage(Outgoing):
    """Events in order; pass `next_after` as `after` to read on, now or later."""

    events: tuple[EventView, ...]
    next_after: int


def job_view(job: Job) -> JobView:
    """Return a job as the wire shows it."""
    spec = job.agreed
    return JobView(
        id=job.job_id,
        name=spec.name,
        modality=spec.modality,
        labels=tuple(LabelView.model_validate(label) for label in spec.label_set.labels),
        state=job.state,
        goal=GoalView.model_validate(spec.goal),
        budget=BudgetView.model_validate(spec.budget),
        base_model=spec.base_model,
        recipe=spec.recipe,
        model=local_name(job.model_name),
        weight=spec.weight,
        seed=spec.seed,
        source_uri=spec.source.uri,
        created_at=utc(job.created_at),
        updated_at=utc(job.updated_at),
        revision=job.revision,
        cancel_requested=job.cancel_requested,
        paused=job.paused,
        progress=ProgressView.model_validate(job.progress),
        certificate=job.certificate and CertificateView.model_validate(job.certificate),
        failure=job.failure,
        expires_after_s=spec.expires_after_s,
        expires_at=None if job.expires_at is None else utc(job.expires_at),
        pii=None if spec.pii is None else PiiView.model_validate(spec.pii),
    )


def event_view(event: JobEvent) -> EventView:
    """Return an event as the wire shows it."""
    return EventView(
        seq=event.seq,
        kind=event.kind,
        at=utc(event.at),
        message=event.message,
        figures=dict(event.figures),
    )
