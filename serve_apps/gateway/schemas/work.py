"""The worker's side on the wire: profiles, offers, answers."""

from base64 import b64encode
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from allocation.ports import Extension, Offer, Submission
from cluster.domain.items import Modality
from cluster.domain.jobs import JobSpec
from cluster.domain.pairs import split
from cluster.domain.work import WorkerKind, WorkerProfile, WorkerTotals
from serve_apps.gateway.media import content_type_of
from serve_apps.gateway.schemas.base import Incoming, Name, Outgoing, Problem, Token, utc
from serve_apps.gateway.schemas.jobs import LabelView


class WorkerRequest(Incoming):
    """A worker to register; `price` is what one answer costs."""

    name: Name
    kind: WorkerKind = "human"
    skills: list[Name] = Field(default=[], max_length=64)
    price: float = Field(0.0, ge=0, le=1e6)


class WorkerView(Outgoing):
    """A registered worker."""

    id: str
    name: str
    kind: WorkerKind
    skills: tuple[str, ...]
    price: float
    registered_at: datetime
    paused: bool


class TotalsView(Outgoing):
    """What a worker has given so far, over all jobs; the times are null before the first answer."""

    answers: int
    earned: float
    first_answered_at: datetime | None
    last_answered_at: datetime | None


class WorkerDetail(WorkerView):
    """A registered worker and its own figures."""

    totals: TotalsView


class WorkerPage(Outgoing):
    """Workers by id; a page may be short, `next_cursor` is null on the last one."""

    workers: tuple[WorkerView, ...]
    next_cursor: str | None


class ClaimRequest(Incoming):
    """How many items a worker wants at once."""

    count: int = Field(1, ge=1)


class ItemView(Outgoing):
    """What to label: a text, two texts, or the base64 of an image file with its media type."""

    text: str | None = None
    text_pair: str | None = None
    image: str | None = None
    content_type: str


class OfferView(Outgoing):
    """An item leased to a worker until `expires_at`; `token` comes back with the answer."""

    token: str
    job_id: str
    item: ItemView
    labels: tuple[LabelView, ...]
    instructions: str
    expires_at: datetime


class OfferList(Outgoing):
    """Offers, the most valuable first; empty where nothing suits the worker now."""

    offers: tuple[OfferView, ...]


class AnswerBody(Incoming):
    """A worker's answer to one offer, by label name; `duration_s` is the time it took."""

    token: Token
    label: Annotated[str, Field(min_length=1, max_length=200)]
    duration_s: float = Field(0.0, ge=0, le=1e7)


class AnswerRequest(Incoming):
    """Answers, at most as many as may be claimed at once."""

    answers: Annotated[list[AnswerBody], Field(min_length=1)]


class AnswerResult(Outgoing):
    """What became of one answer.

    `accepted` is stored durably, `replayed` was stored before, `refused` is not stored and
    `problem` says why.
    """

    token: str
    status: Literal["accepted", "replayed", "refused"]
    problem: Problem | None = None


class AnswerResults(Outgoing):
    """One result an answer, in the order of the request."""

    results: tuple[AnswerResult, ...]


class TokenRequest(Incoming):
    """Leases, by token."""

    tokens: Annotated[list[Token], Field(min_length=1)]


class Released(Outgoing):
    """How many of the leases were still held."""

    released: int


class LeaseView(Outgoing):
    """A lease after a heartbeat; `expires_at` is null where it is no longer held."""

    token: str
    expires_at: datetime | None


class LeaseList(Outgoing):
    """One lease a token, in the order of the request."""

    leases: tuple[LeaseView, ...]


def worker_view(profile: WorkerProfile) -> WorkerView:
    """Return a worker as the wire shows it."""
    return WorkerView(
        id=profile.worker_id,
        name=profile.name,
        kind=profile.kind,
        skills=tuple(sorted(profile.skills)),
        price=profile.price,
        registered_at=utc(profile.registered_at),
        paused=profile.paused,
    )


def worker_detail(profile: WorkerProfile, totals: WorkerTotals) -> WorkerDetail:
    """Return a worker with its figures as the wire shows them."""
    first, last = totals.first_answered_at, totals.last_answered_at
    return WorkerDetail(
        **worker_view(profile).model_dump(),
        totals=TotalsView(
            answers=totals.answers,
            earned=totals.earned,
            first_answered_at=None if first is None else utc(first),
            last_answered_at=None if last is None else utc(last),
        ),
    )


def offer_view(offer: Offer, spec: JobSpec, content: str | bytes) -> OfferView:
    """Return an offer as the wire shows it; never why the worker is asked."""
    return OfferView(
        token=offer.token,
        job_id=offer.job_id,
        item=_item_view(content, spec.modality),
        labels=tuple(LabelView.model_validate(label) for label in spec.label_set.labels),
        instructions=spec.crowd.instructions,
        expires_at=utc(offer.expires_at),
    )


def lease_view(extension: Extension) -> LeaseView:
    """Return a lease after a heartbeat as the wire shows it."""
    expires_at = extension.expires_at
    return LeaseView(
        token=extension.token, expires_at=None if expires_at is None else utc(expires_at)
    )


def submissions_of(request: AnswerRequest) -> tuple[Submission, ...]:
    """Return answers as the allocator takes them."""
    return tuple(
        Submission(token=answer.token, label=answer.label, duration_s=answer.duration_s)
        for answer in request.answers
    )


def _item_view(content: str | bytes, modality: Modality) -> ItemView:
    if isinstance(content, str):
        first, second = split(content) if modality == "text_pair" else (content, None)
        return ItemView(text=first, text_pair=second, content_type="text/plain")
    return ItemView(image=b64encode(content).decode(), content_type=content_type_of(content))
