"""Blows to the parts of a running service, and how long each part needs to be back."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from threading import Event
from time import monotonic
from typing import Literal

import httpx

from benchmarks.chaos import processes
from benchmarks.chaos.book import Book, Owned, Standing
from benchmarks.chaos.crowd import Crowd, Lease, Told, Worker
from benchmarks.chaos.processes import Process
from benchmarks.chaos.service import MusterUp
from cluster.domain.jobs import JobState
from serve_apps.gateway.schemas.work import OfferView

Part = Literal[
    "gateway", "replica", "shard", "runner", "supervisor", "proxy", "controller", "service"
]

TITLES: Mapping[Part, str] = {
    "gateway": "ray::ServeReplica:gateway",
    "replica": "ray::ServeReplica:prelabel",
    "shard": "ray::AllocatorActor",
    "runner": "ray::JobActor",
    "supervisor": "ray::Supervisor",
    "proxy": "ray::ProxyActor",
    "controller": "ray::ServeController",
}
"""How Ray titles the process of each part; the whole service is all of its processes at once."""

RECOVERY_TIMEOUT_S = 240.0
LOOK_EVERY_S = 0.05
IDLE_SHARD_S = 60.0
STEADY_REPLIES = 20
"""A door answers again once so many requests in a row are answered."""

HELD_CLAIMS_MAX, HELD_CLAIM_ITEMS = 10, 5
EXPIRED = "urn:muster:problem:lease-expired"


class NotRecovered(Exception):
    """A part was not back in all the time that was allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """A part to kill while the job is in a state and `done` of that state's work is done.

    Work is measured in chunks while pre-labelling (0 to 1) and in answers an item while asking.
    """

    part: Part
    state: JobState
    done: float = 0.0

    def is_due(self, standing: Standing) -> bool:
        """Whether the time has come."""
        return standing.state is self.state and _done(standing) >= self.done


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A blow that was dealt: what was back when, in seconds after the kill, by name.

    `held` leases were out to one idle worker over the kill of their shard; `refused` of them were
    refused as expired when that worker came to answer. `kept` chunks were pre-labelled before the
    whole service died, and `redone` of them were so again after it.
    """

    blow: Blow
    back_s: tuple[tuple[str, float], ...]
    held: int = 0
    refused: int = 0
    kept: int = 0
    redone: int = 0


class Assailant:
    """Deals blows to one service and watches it recover."""

    def __init__(self, service: MusterUp, book: Book, crowd: Crowd, idler: Worker) -> None:
        self._service, self._book, self._crowd, self._idler = service, book, crowd, idler
        self._owners: tuple[Owned, ...] = ()

    def strike(self, blow: Blow) -> Hit:
        """Kill a part and return once it is back; raises NotRecovered."""
        match blow.part:
            case "gateway" | "proxy":
                return self._door(blow)
            case "controller":
                return self._controller(blow)
            case "replica":
                return self._replica(blow)
            case "shard":
                return self._shard(blow)
            case "runner" | "supervisor":
                return self._runner(blow)
            case "service":
                return self._whole(blow)

    def _whole(self, blow: Blow) -> Hit:
        """Kill every process at once, as a power failure would, and start the service again."""
        before, kept = self._book.standing(), self._predicted_at()
        self._service.kill()
        at = monotonic()
        self._service.start()
        self._service.wait_ready()
        ready_at = monotonic()

        def goes_on() -> bool:
            return self._book.standing().has_gone_on(before)

        saved_at = _wait(goes_on, "the job's next work")
        now = self._predicted_at()
        return Hit(
            blow=blow,
            back_s=(("ready", ready_at - at), ("job goes on", saved_at - at)),
            kept=len(kept),
            redone=sum(now.get(path) != written_at for path, written_at in kept.items()),
        )

    def _predicted_at(self) -> dict[str, int]:
        """Return when the predictions of each chunk in the ledger were written, in ns."""
        objects = self._service.data_dir / "objects"
        return {path: (objects / path).stat().st_mtime_ns for path in self._book.predictions()}

    def _door(self, blow: Blow) -> Hit:
        at = self._kill(self._first(blow.part))
        return Hit(blow=blow, back_s=(("answers again", self._answers_again(at)),))

    def _controller(self, blow: Blow) -> Hit:
        known = self._pids(blow.part)
        at = self._kill(self._first(blow.part))
        return Hit(blow=blow, back_s=(("new process", self._new_process(blow.part, known) - at),))

    def _replica(self, blow: Blow) -> Hit:
        at = self._kill(self._first(blow.part))
        before = self._book.standing().predicted
        chunk_at = _wait(lambda: self._book.standing().predicted > before, "the next chunk")
        return Hit(blow=blow, back_s=(("next chunk", chunk_at - at),))

    def _runner(self, blow: Blow) -> Hit:
        """Kill a runner; another process takes its job, which may have been there already."""
        at = self._kill(self._first(blow.part))
        before = self._book.standing().revision

        def has_spoken() -> bool:
            standing = self._book.standing()
            return standing.revision > before or standing.state.is_terminal

        return Hit(blow=blow, back_s=(("job goes on", _wait(has_spoken, "its next word") - at),))

    def _shard(self, blow: Blow) -> Hit:
        """Kill a shard that owns questions; which one a process is shows when it comes back."""
        before = self._book.partitions()
        held = self._held({owned.shard_id for owned in before})
        for victim in self._service.titled(TITLES["shard"]):
            at = self._kill(victim)
            try:
                rebuilt_at = _wait(lambda: self._book.partitions() != before, "it", IDLE_SHARD_S)
            except NotRecovered:
                continue  # it owned nothing of this job
            after = self._book.partitions()
            shard_id = next(
                new.shard_id for new, old in zip(after, before, strict=True) if new != old
            )
            back = (("rebuilt", rebuilt_at - at), ("next lease", self._next_lease(shard_id, at)))
            told = [each for each in self._idler.answer(held) if self._owner(each) == shard_id]
            refused = sum(each.verdict == EXPIRED for each in told)
            return Hit(blow=blow, back_s=back, held=len(told), refused=refused)
        raise NotRecovered("a shard that owns a partition")

    def _held(self, owners: Collection[int]) -> list[OfferView]:
        """Let the idle worker lease something of every shard."""
        offers: list[OfferView] = []
        for _ in range(HELD_CLAIMS_MAX):
            offers += self._idler.claim(HELD_CLAIM_ITEMS)
            if {self._owner(lease) for lease in self._idler.diary.leases} >= set(owners):
                break
        return offers

    def _next_lease(self, shard_id: int, at: float) -> float:
        """Return after how long the shard leased something again."""

        def leased_at() -> float | None:
            times = [
                lease.given_at
                for lease in self._crowd.leases
                if lease.asked_at > at and self._owner(lease) == shard_id
            ]
            return min(times, default=None)

        _wait(lambda: leased_at() is not None, f"a lease of shard {shard_id}")
        return (leased_at() or at) - at

    def _answers_again(self, at: float) -> float:
        """Return after how long the door answered requests in a row."""
        replies, since = 0, at
        pause = Event()
        with httpx.Client(base_url=self._service.url, timeout=2.0) as http:
            while replies < STEADY_REPLIES:
                if monotonic() - at > RECOVERY_TIMEOUT_S:
                    raise NotRecovered("the gateway")
                if _is_well(http):
                    since = since if replies else monotonic()
                    replies += 1
                else:
                    replies = 0
                pause.wait(LOOK_EVERY_S)
        return since - at

    def _new_process(self, part: Part, known: Collection[int]) -> float:
        """Return when another process than the known ones had a part's title."""
        return _wait(lambda: bool(self._pids(part).difference(known)), f"a new {part}")

    def _pids(self, part: Part) -> set[int]:
        return {process.pid for process in self._service.titled(TITLES[part])}

    def _first(self, part: Part) -> Process:
        """Return the oldest process of a part, once there is one."""
        _wait(lambda: bool(self._service.titled(TITLES[part])), f"a {part}")
        return self._service.titled(TITLES[part])[0]

    def _kill(self, victim: Process) -> float:
        """Kill a process and return when that was, once it is gone."""
        at = monotonic()
        processes.kill(victim.pid)
        _wait(lambda: not self._service.runs(victim), "the end of a killed process")
        return at

    def _owner(self, found: Lease | Told) -> int:
        """Return the shard that owns an item; partitions stay where ingest has put them."""
        if not self._owners:
            self._owners = self._book.partitions()
        return next(
            owned.shard_id
            for owned in reversed(self._owners)
            if owned.first_position <= found.position
        )


def _done(standing: Standing) -> float:
    match standing.state:
        case JobState.PRELABELLING:
            return standing.predicted / max(standing.chunks, 1)
        case JobState.ASKING:
            return standing.progress.answers / max(standing.progress.items, 1)
        case _:
            return 0.0


def _is_well(http: httpx.Client) -> bool:
    try:
        return http.get("/v1/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _wait(is_so: Callable[[], bool], what: str, timeout_s: float = RECOVERY_TIMEOUT_S) -> float:
    """Return when something was seen to be so (monotonic); raises NotRecovered."""
    give_up_at, pause = monotonic() + timeout_s, Event()
    while not is_so():
        if monotonic() > give_up_at:
            raise NotRecovered(what)
        pause.wait(LOOK_EVERY_S)
    return monotonic()
