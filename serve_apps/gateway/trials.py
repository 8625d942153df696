"""Online answers, and what they show of a version on trial: in shadow unseen, as canary for real.

Counts are kept in this process and written now and then, by the next request; what a gateway that
dies had not written yet is lost, and nobody is paid by it.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from starlette.concurrency import run_in_threadpool

from cluster.clock import Clock
from cluster.domain.ids import ModelName, UnixSeconds
from cluster.domain.lines import Stage, Traffic
from cluster.domain.models import ModelSpec
from cluster.errors import Fault, StoreBusy, Unavailable
from cluster.model_settings import RolloutSettings
from cluster.ports import TrafficStore
from cluster.replica_errors import ReplicaBroken, ReplicaLost
from serve_apps.gateway.firsts import Firsts
from serve_apps.gateway.online import OnlineModels
from serve_apps.gateway.schemas.predictions import ITEMS_MAX
from serve_apps.gateway.versions import Resolved, share_of
from serve_apps.prelabel.answers import OnlineAnswer
from serve_apps.prelabel.model import Content

SHADOWS_MAX = 8
"""Shadow answers of one gateway at a time; more requests than that are not sampled."""

WRITE_EVERY_S = 5.0

LOSSES = (ReplicaLost, ReplicaBroken)
"""What a version may do to a replica: a candidate that does is to blame if the live one answers."""

Place = tuple[ModelName, int, Stage]
Bools = npt.NDArray[np.bool_]


class OnlineTrials:
    """Answers online requests, each by one version, and counts what that shows."""

    def __init__(
        self, online: OnlineModels, store: TrafficStore, settings: RolloutSettings, clock: Clock
    ) -> None:
        self._online, self._store = online, store
        self._settings, self._clock = settings, clock
        self._seen: dict[Place, Traffic] = {}
        self._firsts = Firsts()
        self._written_at: UnixSeconds = 0.0
        self._shadows = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, versions: Resolved, contents: Sequence[Content]) -> OnlineAnswer:
        """Return the answer of one version to all contents; raises as `OnlineModels.predict` does.

        A canary that fails on a content on which the live version does not, or has no answer, is
        not shown: the whole request is answered by the live one then.
        """
        candidate = versions.candidate
        if candidate is None:
            return await self._live(versions.live, contents)
        place = share_of(contents, candidate)
        if versions.stage is Stage.CANARY and place < self._settings.canary_share:
            return await self._canary(versions.live, candidate, contents)
        started_at = self._clock.now()
        answer = await self._live(versions.live, contents)
        sampled = versions.stage is Stage.SHADOW and place < self._settings.shadow_share
        if sampled and self._shadows < SHADOWS_MAX:
            self._shadows += 1
            seconds = self._clock.now() - started_at
            self._begin(self._shadow(candidate, contents, answer, seconds))
        return answer

    async def settle(self) -> None:
        """Wait for the shadow answers that are on their way, and write every count."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
        await run_in_threadpool(self._write, self._taken())

    async def _live(self, spec: ModelSpec, contents: Sequence[Content]) -> OnlineAnswer:
        answer = await self._asked(spec, contents)
        self._note(self._traffic(spec, Stage.LIVE, len(contents)))
        return answer

    async def _canary(
        self, live: ModelSpec, candidate: ModelSpec, contents: Sequence[Content]
    ) -> OnlineAnswer:
        try:
            answer = await self._asked(candidate, contents)
        except (Fault, Unavailable) as error:
            other = await self._live(live, contents)
            self._blame(candidate, Stage.CANARY, contents, other, error)
            return other
        seen, first = self._judged(candidate, Stage.CANARY, contents)
        if not answer.failed.any():
            self._note(seen)
            return answer
        other = await self._live(live, contents)
        failed = int((answer.failed & ~other.failed & first).sum())
        self._note(replace(seen, failed=failed))
        return other

    async def _shadow(
        self,
        candidate: ModelSpec,
        contents: Sequence[Content],
        live: OnlineAnswer,
        live_seconds: float,
    ) -> None:
        started_at = self._clock.now()
        try:
            answer = await self._asked(candidate, contents)
        except (Fault, Unavailable) as error:
            self._blame(candidate, Stage.SHADOW, contents, live, error)
        else:
            seconds = self._clock.now() - started_at
            seen, first = self._judged(candidate, Stage.SHADOW, contents)
            compared = _compared(seen, answer, live, first)
            self._note(replace(compared, seconds=seconds, live_seconds=live_seconds))
        finally:
            self._shadows -= 1

    def _blame(
        self,
        candidate: ModelSpec,
        stage: Stage,
        contents: Sequence[Content],
        live: OnlineAnswer,
        error: Fault | Unavailable,
    ) -> None:
        """Count what a candidate did not answer and the live version did.

        A version that cannot be used has failed on everything. A replica that is lost, or broke, or
        gave no answer in time is one failure, however many items it was asked about; that there was
        no room for the request is none.
        """
        if isinstance(error, Unavailable) and not isinstance(error, LOSSES):
            return
        seen, first = self._judged(candidate, stage, contents)
        failed = int((~live.failed & first).sum())
        if isinstance(error, LOSSES):
            failed = min(failed, 1)
            seen = replace(seen, items=min(seen.items, 1))
        self._note(replace(seen, failed=failed))

    def _judged(
        self, candidate: ModelSpec, stage: Stage, contents: Sequence[Content]
    ) -> tuple[Traffic, Bools]:
        """Return what is to be counted of a candidate's request, and which contents (n,) count.

        Those that it has had before do not: a request that is sent again and again, by whoever
        hopes for another answer, always goes to the same version.
        """
        seen = self._traffic(candidate, stage, 0)
        first = self._firsts.among(contents, seen)
        return replace(seen, items=int(first.sum())), first

    async def _asked(self, spec: ModelSpec, contents: Sequence[Content]) -> OnlineAnswer:
        """Ask one version in pieces that a replica takes at a time."""
        pieces = [
            await self._online.predict(contents[first : first + ITEMS_MAX], spec)
            for first in range(0, len(contents), ITEMS_MAX)
        ]
        if len(pieces) == 1:
            return pieces[0]
        return OnlineAnswer(
            version=pieces[0].version,
            probabilities=np.concatenate([piece.probabilities for piece in pieces]),
            failed=np.concatenate([piece.failed for piece in pieces]),
        )

    def _traffic(self, spec: ModelSpec, stage: Stage, items: int) -> Traffic:
        now = self._clock.now()
        return Traffic(name=spec.name, version=spec.version, stage=stage, items=items, last_at=now)

    def _note(self, seen: Traffic) -> None:
        place = seen.name, seen.version, seen.stage
        self._seen[place] = self._seen[place] + seen if place in self._seen else seen
        if seen.last_at - self._written_at >= WRITE_EVERY_S:
            self._written_at = seen.last_at
            self._begin(run_in_threadpool(self._write, self._taken()))

    def _taken(self) -> list[Traffic]:
        taken, self._seen = list(self._seen.values()), {}
        return taken

    def _write(self, seen: Sequence[Traffic]) -> None:
        """Write counts; where the database is busy these are lost, as in a gateway that dies."""
        with suppress(StoreBusy):
            self._store.add(seen)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        """Let something go on beside the request, which does not wait for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _compared(seen: Traffic, answer: OnlineAnswer, live: OnlineAnswer, first: Bools) -> Traffic:
    both = ~answer.failed & ~live.failed & first
    others = answer.probabilities.argmax(axis=1) != live.probabilities.argmax(axis=1)
    return replace(
        seen,
        disagreed=int((both & others).sum()),
        failed=int((answer.failed & ~live.failed & first).sum()),
        live_failed=int((live.failed & ~answer.failed & first).sum()),
    )
