"""The crowd's door: register, claim, answer, give back, keep alive."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from allocation.ports import Offer, Outcome
from cluster.domain.access import Caller
from cluster.domain.ids import WorkerId
from cluster.domain.masking import unmasked
from cluster.domain.work import WorkerProfile
from cluster.errors import TooLarge, WorkerNotFound
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.acting import Acting, Actor
from serve_apps.gateway.pages import Cursor, limit_of
from serve_apps.gateway.problems import pointer_to, problem_of
from serve_apps.gateway.schemas.base import FieldError
from serve_apps.gateway.schemas.work import (
    AnswerRequest,
    AnswerResult,
    AnswerResults,
    ClaimRequest,
    LeaseList,
    OfferList,
    OfferView,
    Released,
    TokenRequest,
    WorkerDetail,
    WorkerPage,
    WorkerRequest,
    WorkerView,
    lease_view,
    offer_view,
    submissions_of,
    worker_detail,
    worker_view,
)
from serve_apps.gateway.services import Services
from serve_apps.gateway.strict_json import StrictJsonRoute
from serve_apps.gateway.unmasking import originals_of

router = APIRouter(
    prefix="/v1/workers",
    tags=["workers"],
    dependencies=[Depends(require_role("worker"))],
    route_class=StrictJsonRoute,
)

WorkerPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


def own_worker(worker_id: WorkerPath, caller: Authenticated, services: Wired) -> WorkerProfile:
    """Return a worker the caller's key may act for; raises WorkerNotFound for any other."""
    profile = services.stores.workers.get(WorkerId(worker_id))
    if not _may_see(caller, profile):
        raise WorkerNotFound(profile.worker_id)
    return profile


Own = Annotated[WorkerProfile, Depends(own_worker)]


@router.post("", status_code=201)
def register_worker(request: WorkerRequest, actor: Acting, services: Wired) -> WorkerView:
    """Register a worker; only this key may act for it."""
    profile = WorkerProfile(
        worker_id=WorkerId(f"wrk-{services.new_id()}"),
        owner=actor.caller.key_id,
        name=request.name,
        kind=request.kind,
        skills=frozenset(request.skills),
        price=request.price,
        registered_at=services.clock.now(),
    )
    act = actor.act("worker.register", profile.worker_id, request)
    services.stores.workers.add(profile, act)
    return worker_view(profile)


@router.get("")
def list_workers(
    caller: Authenticated,
    services: Wired,
    limit: Annotated[int, Depends(limit_of)],
    cursor: Cursor = None,
) -> WorkerPage:
    """List the key's workers (an admin: all). A page may be short; read on by its cursor."""
    after = None if cursor is None else WorkerId(cursor)
    profiles = services.stores.workers.page(after, limit)
    return WorkerPage(
        workers=tuple(worker_view(each) for each in profiles if _may_see(caller, each)),
        next_cursor=profiles[-1].worker_id if len(profiles) == limit else None,
    )


@router.get("/{worker_id}")
def show_worker(worker: Own, services: Wired) -> WorkerDetail:
    """Show a worker, and what it has answered and earned so far."""
    return worker_detail(worker, services.stores.answers.totals(worker.worker_id))


@router.post("/{worker_id}/claims")
def claim(request: ClaimRequest, worker: Own, actor: Acting, services: Wired) -> OfferList:
    """Lease up to `count` items to the worker; an empty list means: ask again a little later."""
    _bound("count", request.count, services)
    offers = services.crowd.claim(worker, request.count)
    return OfferList(offers=_offer_views(offers, worker, actor, services))


@router.get("/{worker_id}/leases")
def list_leases(worker: Own, actor: Acting, services: Wired) -> OfferList:
    """List the items the worker holds now, claimed or assigned; as many as may be claimed."""
    offers = services.crowd.held(worker, services.settings.limits.claim_max)
    return OfferList(offers=_offer_views(offers, worker, actor, services))


@router.post("/{worker_id}/answers")
def answer(request: AnswerRequest, worker: Own, services: Wired) -> AnswerResults:
    """Take answers; each is accepted or refused for itself, and safe to send again."""
    _bound("answers", len(request.answers), services)
    outcomes = services.crowd.answer(worker, submissions_of(request))
    return AnswerResults(
        results=tuple(_result(index, outcome) for index, outcome in enumerate(outcomes))
    )


@router.post("/{worker_id}/releases")
def release(request: TokenRequest, worker: Own, services: Wired) -> Released:
    """Give leases back unanswered, so that somebody else is asked at once."""
    _bound("tokens", len(request.tokens), services)
    return Released(released=services.crowd.release(worker, request.tokens))


@router.post("/{worker_id}/heartbeats")
def heartbeat(request: TokenRequest, worker: Own, services: Wired) -> LeaseList:
    """Extend leases that are still held."""
    _bound("tokens", len(request.tokens), services)
    leases = services.crowd.heartbeat(worker, request.tokens)
    return LeaseList(leases=tuple(lease_view(lease) for lease in leases))


def _may_see(caller: Caller, profile: WorkerProfile) -> bool:
    return caller.role == "admin" or profile.owner == caller.key_id


def _bound(what: str, count: int, services: Services) -> None:
    claim_max = services.settings.limits.claim_max
    if count > claim_max:
        raise TooLarge(what, count, claim_max, "entries")


def _offer_views(
    offers: tuple[Offer, ...], worker: WorkerProfile, actor: Actor, services: Services
) -> tuple[OfferView, ...]:
    jobs = {job_id: services.stores.jobs.load(job_id) for job_id in {o.job_id for o in offers}}
    items = {
        (job_id, item.position): item
        for job_id in jobs
        for item in services.items.fetch(
            job_id, [offer.position for offer in offers if offer.job_id == job_id]
        )
    }
    originals = originals_of(offers, jobs, worker.worker_id, actor, services)
    views = list[OfferView]()
    for offer in offers:
        place = offer.job_id, offer.position
        content = items[place].content
        if place in originals and isinstance(content, str):
            content = unmasked(content, originals[place])
        views.append(offer_view(offer, jobs[offer.job_id].spec, content))
    return tuple(views)


def _result(index: int, outcome: Outcome) -> AnswerResult:
    if outcome.error is None:
        status = "replayed" if outcome.replayed else "accepted"
        return AnswerResult(token=outcome.token, status=status)
    refused = FieldError(detail=str(outcome.error), pointer=pointer_to("answers", index))
    problem = problem_of(outcome.error).model_copy(update={"errors": (refused,)})
    return AnswerResult(token=outcome.token, status="refused", problem=problem)
