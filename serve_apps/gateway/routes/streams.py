"""A job's events as they happen: Server-Sent Events."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, NamedTuple, cast

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from cluster.domain.ids import JobId, KeyId
from cluster.errors import Unavailable
from serve_apps.gateway.access import Authenticated, Wired, require_role
from serve_apps.gateway.feed import EventFeed, Watch
from serve_apps.gateway.handlers import bad_parameter
from serve_apps.gateway.known_keys import KnownKeys
from serve_apps.gateway.routes.jobs import JobPath
from serve_apps.gateway.schemas.jobs import event_view, job_view
from serve_apps.gateway.schemas.streams import ProgressEvent, progress_event

router = APIRouter(
    prefix="/v1/jobs/{job_id}", tags=["jobs"], dependencies=[Depends(require_role("client"))]
)

PAGE_EVENTS = 100
LAST_EVENT_ID = "Last-Event-ID"

_ID = re.compile(r"(\d{1,15})(-end)?", re.ASCII)


class Seen(NamedTuple):
    """What a client has seen of a job: its history up to a number, and maybe its end."""

    seq: int
    end: bool


async def seen_by(
    last_event_id: Annotated[str | None, Header(alias=LAST_EVENT_ID)] = None,
) -> Seen:
    """Return what a client has seen that comes back."""
    if not last_event_id:
        return Seen(0, end=False)
    match = _ID.fullmatch(last_event_id)
    if match is None:
        raise bad_parameter("header", LAST_EVENT_ID, "is not the id of an event of this stream")
    return Seen(int(match[1]), end=match[2] is not None)


AfterSeen = Annotated[Seen, Depends(seen_by)]


async def watch_of(
    request: Request, job_id: JobPath, caller: Authenticated, services: Wired, seen: AfterSeen
) -> AsyncIterator[Watch]:
    """Watch a job of the caller's tenant for as long as the request lasts.

    Raises HTTPException (204) where its end was seen: an EventSource comes back for ever, unless it
    is told so (WHATWG HTML, section 9.2.3).
    """
    job = await run_in_threadpool(services.stores.jobs.get, caller.tenant_id, JobId(job_id))
    if seen.end and job.state.is_terminal:
        raise HTTPException(204)
    feed = cast("EventFeed", request.app.state.feed)
    async with feed.watch(job) as watch:
        yield watch


async def known_keys_of(request: Request) -> KnownKeys:
    """Return the keys that this gateway remembers."""
    return cast("KnownKeys", request.app.state.known_keys)


@router.get(
    "/events/stream",
    response_class=EventSourceResponse,
    responses={204: {"description": "Last-Event-ID is that of the end: nothing more will come"}},
)
async def stream_events(
    services: Wired,
    caller: Authenticated,
    known_keys: Annotated[KnownKeys, Depends(known_keys_of)],
    watch: Annotated[Watch, Depends(watch_of)],
    seen: AfterSeen,
) -> AsyncIterator[ServerSentEvent]:
    """Stream what happens to a job until it has ended.

    `history` is an event of the job, under its number as id, from the one after Last-Event-ID on;
    `progress` tells how the job stands whenever that has changed; `end` holds the job as it ended
    and is the last: whoever comes back with its id is answered 204. Comments keep the connection
    alive. A key that is revoked ends its streams.
    """
    after = seen.seq
    shown: ProgressEvent | None = None
    async for look in watch.looks():
        if not await _opens(known_keys, caller.key_id):
            return
        while after < look.newest_seq:
            missed = await run_in_threadpool(
                services.stores.events.read, watch.job_id, after, PAGE_EVENTS
            )
            for event in missed:
                after = event.seq
                yield ServerSentEvent(event="history", id=str(after), data=event_view(event))
        progress = progress_event(look.job, look.eta_s)
        if progress != shown:
            shown = progress
            yield ServerSentEvent(event="progress", data=progress)
        if look.over:
            yield ServerSentEvent(event="end", id=f"{after}-end", data=job_view(look.job))


async def _opens(known_keys: KnownKeys, key_id: KeyId) -> bool:
    """Return whether a key is still good; where the store cannot say now, it is as it was."""
    try:
        record = known_keys.recall(key_id) or await run_in_threadpool(known_keys.find, key_id)
    except Unavailable:
        return True
    return record is not None and not record.revoked
