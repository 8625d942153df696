"""What happens to jobs, for many who watch: one look at each job serves all its watchers.

Nobody holds a thread while nothing happens, and nothing is kept for a watcher: one that is slow
finds the newest look when it comes back, and reads the history it has missed from the log.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from cluster.clock import Clock
from cluster.domain.ids import JobId, TenantId
from cluster.domain.jobs import Job
from cluster.errors import NotFound, RateLimited, Unavailable
from cluster.ports import EventLog, JobStore
from cluster.settings import StreamSettings
from serve_apps.gateway.pace import Pace

STREAM_RETRY_S = 5.0
"""When to come back where as many streams are open as may be."""

LOOKS_AT_THE_END = 2
"""An ended job is looked at once more: its last event is written just after its last state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a job stood at a look; `number` counts the looks at it from 1."""

    number: int
    job: Job
    newest_seq: int
    eta_s: float | None
    over: bool


class Watch:
    """One job's looks, the newest of which is kept."""

    def __init__(self, job: Job) -> None:
        self.job_id = job.job_id
        self.watchers = 0
        self._pace, self._ended_looks = Pace(), 0
        self._look: Look | None = None
        self._news = asyncio.Event()
        self._closed = False

    async def looks(self) -> AsyncIterator[Look]:
        """Yield looks as they come, leaving out those that are old by then; ends after the last."""
        seen = 0
        while not self._closed:
            look = self._look
            if look is None or look.number <= seen:
                await self._news.wait()
                continue
            seen = look.number
            yield look
            if look.over:
                return

    def note(self, job: Job, newest_seq: int, now: float) -> None:
        """Take a look in."""
        self._ended_looks += job.state.is_terminal
        self._look = Look(
            number=1 if self._look is None else self._look.number + 1,
            job=job,
            newest_seq=newest_seq,
            eta_s=self._pace.eta_s(job, now),
            over=self._ended_looks >= LOOKS_AT_THE_END,
        )
        self._tell()

    def close(self) -> None:
        """End every watcher's iteration."""
        self._closed = True
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class EventFeed:
    """The watches of one gateway; belongs to one event loop."""

    def __init__(
        self, jobs: JobStore, events: EventLog, clock: Clock, settings: StreamSettings
    ) -> None:
        self._jobs, self._events, self._clock, self._settings = jobs, events, clock, settings
        self._watches: dict[JobId, Watch] = {}
        self._by_tenant: Counter[TenantId] = Counter()
        self._looking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watch(self, job: Job) -> AsyncIterator[Watch]:
        """Look at a job now and then while the context lasts; raises RateLimited."""
        tenant_id = job.tenant_id
        self._check_room(tenant_id)
        watch = self._watches.setdefault(job.job_id, Watch(job))
        watch.watchers += 1
        self._by_tenant[tenant_id] += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_on())
        try:
            yield watch
        finally:
            watch.watchers -= 1
            self._by_tenant[tenant_id] -= 1
            if not watch.watchers and self._watches.get(job.job_id) is watch:
                del self._watches[job.job_id]

    def _check_room(self, tenant_id: TenantId) -> None:
        for found, most in (
            (self._by_tenant[tenant_id], self._settings.tenant_max),
            (self._by_tenant.total(), self._settings.replica_max),
        ):
            if found >= most:
                raise RateLimited(f"{most} streams", STREAM_RETRY_S)

    async def _look_on(self) -> None:
        """Look at every watched job until nobody watches any more."""
        try:
            while self._watches:
                for job, newest_seq in await run_in_threadpool(self._seen, tuple(self._watches)):
                    if job.job_id in self._watches:
                        self._watches[job.job_id].note(job, newest_seq, self._clock.now())
                await asyncio.sleep(self._settings.look_every_s)
        finally:
            self._looking = None
            for watch in self._watches.values():
                watch.close()
            self._watches.clear()

    def _seen(self, job_ids: Iterable[JobId]) -> list[tuple[Job, int]]:
        """Return jobs and the numbers of their newest events, but for those that cannot be read."""
        seen = []
        for job_id in job_ids:
            with suppress(Unavailable, NotFound):
                seen.append((self._jobs.load(job_id), self._events.newest(job_id)))
        return seen
