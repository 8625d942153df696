"""One fault dealt many times to a deployment that works on one job after the other."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from threading import Event
from time import monotonic

from rich.console import Console
from sqlalchemy.exc import DBAPIError

from allocation.leases import unseal
from benchmarks.chaos.book import Book, Standing
from benchmarks.chaos.corpus import LABELS, Corpus, generate
from benchmarks.chaos.crowd import Crew, Crowd, Lease, Told, Worker
from benchmarks.chaos.deployment import LEASE_SECRET, Deployment
from benchmarks.chaos.door import Door
from benchmarks.chaos.faults import Fault, Scene, Struck, wait_until
from benchmarks.chaos.history import (
    ACKNOWLEDGED,
    Answered,
    Delivered,
    History,
    Offered,
    Stored,
    Violation,
    violations,
)
from benchmarks.chaos.submit import submit
from cluster.domain.jobs import JobState
from serve_apps.gateway.schemas.results import ResultPage

LOOK_EVERY_S = 0.1
FIRST_S_MAX, PAUSE_S_MAX = 15.0, 3.0
"""The first blow falls a random time up to this after the submit, and the next one up to this after
all that the one before took was there again."""

LEASE_TTL_S = 20.0
QUIET_S_MAX = 180.0
"""How long a job may need to its end once no fault falls any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the deployment works on meanwhile: jobs of so many items, and their crowd."""

    items: int = 1_200
    crew: Crew = field(default_factory=lambda: Crew(workers=10, claim_items=4, think_s=1.0))
    base_model: str = "fake:5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A blow and what came after it, in seconds.

    `answer_s` passed from the end of the fault to the first answer that was sent after it and
    acknowledged, `whole_s` until all parts were there again. `gap_s` is the longest time without
    an acknowledged answer from its begin on. Where nobody was `asked`, the job's next word counts.
    """

    struck: Struck
    asked: bool
    answer_s: float
    whole_s: float
    gap_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One job under fire, audited."""

    history: History
    hits: Sequence[Hit]
    violations: Sequence[Violation]
    acknowledged: int
    stale_leases: int
    internal_errors: int
    resent: int


class Siege:
    """Deals one fault to a deployment until it was dealt `times`, job after job."""

    def __init__(
        self, deployment: Deployment, name: str, fault: Fault, load: Load, seed: int, log: Console
    ) -> None:
        self._deployment, self._name, self._fault, self._load = deployment, name, fault, load
        self._seed, self._log = seed, log
        self._chance = Random(f"{seed}/{name}")

    def run(self, times: int) -> list[Round]:
        """Deal the fault so often, and return every job's round once all have ended."""
        rounds: list[Round] = []
        while (left := times - sum(len(each.hits) for each in rounds)) > 0:
            rounds.append(self._round(len(rounds), left))
        return rounds

    def _round(self, number: int, left: int) -> Round:
        seed = self._chance.randrange(2**31)
        corpus, deployment = generate(self._load.items, seed), self._deployment
        with (
            closing(Door(deployment.url, deployment.keys["client"])) as client,
            closing(Door(deployment.url, deployment.keys["worker"])) as gate,
            closing(Door(deployment.url, deployment.stranger)) as stranger,
        ):
            key = f"{self._name}-{self._seed}-{number}-{seed}"
            submitted = submit(client, self._request(corpus, seed), key)
            if (submitted.jobs, submitted.created, submitted.mismatch) != (1, 1, True):
                raise ValueError(f"one key, and not one job: {submitted}")
            book = Book(deployment.postgres.url, submitted.job_id)
            workers = [Worker(gate, corpus, each, seed) for each in range(self._load.crew.workers)]
            scene = Scene(corpus=corpus, client=client, gate=gate, seed=seed, told=[])
            with Crowd(workers, self._load.crew) as crowd:
                hits = self._besiege(book, crowd, scene, left)
                ended_at = monotonic()
            crowd.check()
            quiet_from = max((hit.struck.over_at + hit.whole_s for hit in hits), default=ended_at)
            standing = _standing(book)
            history = History(
                job_id=submitted.job_id,
                accepted=corpus.ids,
                exported=exported(client, submitted.job_id),
                delivered=delivered(client, submitted.job_id),
                offered=[offered(lease) for lease in crowd.leases],
                answered=[answered(told) for told in (*crowd.told, *scene.told)],
                stored=stored(book),
                counted=standing.progress.answers,
                exports=exports(client, submitted.job_id, times=2),
                strangers=strangers(stranger, submitted.job_id),
                state=standing.state,
                quiet_s=max(ended_at - quiet_from, 0.0),
            )
        errors = client.internal_errors + gate.internal_errors
        return self._audited(history, hits, errors, crowd.resent)

    def _audited(self, history: History, hits: Sequence[Hit], errors: int, resent: int) -> Round:
        found = violations(history, LEASE_TTL_S, QUIET_S_MAX)
        for violation in found:
            self._log.print(f"[bold red]{violation}[/]")
        acknowledged = {
            (each.position, each.worker_id)
            for each in history.answered
            if each.verdict in ACKNOWLEDGED
        }
        self._log.print(
            f"{self._name}: a job of {len(history.accepted)} items and {len(acknowledged)} answers"
            f" under {len(hits)} blows: {len(found)} broken invariants, {errors} replies 500"
        )
        return Round(
            history=history,
            hits=hits,
            violations=found,
            acknowledged=len(acknowledged),
            stale_leases=_stale_leases(history.offered),
            internal_errors=errors,
            resent=resent,
        )

    def _besiege(self, book: Book, crowd: Crowd, scene: Scene, left: int) -> list[Hit]:
        """Deal blows at any time of the job's life, and return once it has ended."""
        hits: list[Hit] = []
        pause, next_at = Event(), monotonic() + self._chance.uniform(0.0, FIRST_S_MAX)
        while not (standing := _standing(book)).state.is_terminal:
            crowd.check()
            if len(hits) < left and monotonic() >= next_at:
                hits.append(self._strike(book, crowd, scene, standing))
                next_at = monotonic() + self._chance.uniform(0.0, PAUSE_S_MAX)
            pause.wait(LOOK_EVERY_S)
        return hits

    def _strike(self, book: Book, crowd: Crowd, scene: Scene, before: Standing) -> Hit:
        asked = before.state is JobState.ASKING and any(each.acknowledged for each in crowd.told)
        struck = self._fault.strike(self._chance, scene)
        goes_on_at = self._wait(
            lambda: (
                _acknowledged_at(crowd, struck.over_at) is not None
                or _goes_on(_standing(book), before, asked=asked)
            ),
            "an answer, or the job's next word",
        )
        whole_at = self._wait(self._fault.is_whole, "the deployment")
        answered_at = _acknowledged_at(crowd, struck.over_at) or goes_on_at
        hit = Hit(
            struck=struck,
            asked=asked,
            answer_s=answered_at - struck.over_at,
            whole_s=whole_at - struck.over_at,
            gap_s=_gap_s(crowd.told, struck.at, whole_at),
        )
        self._log.print(
            f"{self._name} {struck.what} while {before.state}: goes on after {hit.answer_s:.1f} s,"
            f" whole after {hit.whole_s:.1f} s, longest gap {hit.gap_s:.1f} s"
        )
        return hit

    def _wait(self, is_so: Callable[[], bool], what: str) -> float:
        """Return when something was so; what the surroundings of Muster would mend is mended."""

        def mended() -> bool:
            self._deployment.mend()
            return is_so()

        return wait_until(mended, what)

    def _request(self, corpus: Corpus, seed: int) -> dict[str, object]:
        return {
            "name": f"{self._name} {seed}",
            "modality": "text",
            "labels": corpus.labels,
            "items": corpus.items,
            "base_model": self._load.base_model,
            "goal": {"accuracy": 0.97},
            "crowd": {"lease_ttl_s": LEASE_TTL_S},
            "seed": seed % 1_000,
        }


def exports(client: Door, job_id: str, times: int) -> dict[str, tuple[str, ...]]:
    """Return what the data set hashes to in each format, each time it is asked for."""
    return {
        suffix: tuple(
            hashlib.sha256(_export(client, job_id, suffix)).hexdigest() for _ in range(times)
        )
        for suffix in ("jsonl", "parquet")
    }


def exported(client: Door, job_id: str) -> list[Delivered]:
    """Return the finished data set."""
    rows = map(json.loads, _export(client, job_id, "jsonl").splitlines())
    return [
        Delivered(item_id=row["item_id"], label=row["label"], revision=row.get("revision", 0))
        for row in rows
    ]


def delivered(client: Door, job_id: str) -> list[Delivered]:
    """Return every label the client was told, corrections among them."""
    found: list[Delivered] = []
    cursor: str | None = "0"
    while cursor is not None:
        reply = client.get(f"/v1/jobs/{job_id}/results", {"limit": 1_000, "cursor": cursor})
        page = ResultPage.model_validate_json(reply.content)
        cursor = page.next_cursor
        found += [
            Delivered(item_id=row.item_id, label=row.label, revision=row.revision)
            for row in page.results
        ]
    return found


def stored(book: Book) -> list[Stored]:
    """Return the answers as the log has them."""
    return [
        Stored(position=each.position, worker_id=each.worker_id, label=LABELS[each.label])
        for each in book.answers()
    ]


def strangers(stranger: Door, job_id: str) -> list[int]:
    """Return what another tenant is answered who asks for all there is of a job."""
    below = ("", "/results", "/export", "/errors", "/events")
    return [stranger.get(f"/v1/jobs/{job_id}{path}").status for path in below]


def offered(lease: Lease) -> Offered:
    """Return a lease with what its token says."""
    ticket = unseal(lease.token, LEASE_SECRET.encode())
    return Offered(
        worker_id=lease.worker_id,
        partition=ticket.partition,
        epoch=ticket.epoch,
        position=lease.position,
        lease_id=ticket.lease_id,
        asked_at=lease.asked_at,
        given_at=lease.given_at,
    )


def answered(told: Told) -> Answered:
    """Return what was told of an answer with what its token says."""
    ticket = unseal(told.token, LEASE_SECRET.encode())
    return Answered(
        worker_id=told.worker_id,
        partition=ticket.partition,
        epoch=ticket.epoch,
        position=told.position,
        label=told.label,
        verdict=told.verdict,
        lost=told.lost,
        sent_at=told.sent_at,
        told_at=told.at,
    )


def _export(client: Door, job_id: str, suffix: str) -> bytes:
    reply = client.get(f"/v1/jobs/{job_id}/export", {"format": suffix})
    return reply.content if reply.status == 200 else b""


def _goes_on(now: Standing, before: Standing, *, asked: bool) -> bool:
    """Whether a job shows that it works; one that is asked shows it by answers until its end."""
    return now.state is not JobState.ASKING if asked else now.revision > before.revision


def _standing(book: Book) -> Standing:
    """Return where the job stands, as soon as the database says."""
    pause = Event()
    while True:
        try:
            return book.standing()
        except DBAPIError:
            pause.wait(LOOK_EVERY_S)


def _acknowledged_at(crowd: Crowd, after: float) -> float | None:
    times = (each.at for each in crowd.told if each.acknowledged and each.sent_at > after)
    return min(times, default=None)


def _gap_s(told: Sequence[Told], begin: float, end: float) -> float:
    """Return the longest time without an acknowledged answer between two moments."""
    times = sorted(each.at for each in told if each.acknowledged and begin < each.at < end)
    return max(later - sooner for sooner, later in pairwise((begin, *times, end)))


def _stale_leases(leases: Sequence[Offered]) -> int:
    """Count leases of an epoch below one that had been seen before they were asked for."""
    return sum(1 for _ in _stale(leases))


def _stale(leases: Sequence[Offered]) -> Iterator[Offered]:
    seen, newest, at = sorted(leases, key=lambda lease: lease.given_at), dict[int, int](), 0
    for lease in sorted(leases, key=lambda lease: lease.asked_at):
        while at < len(seen) and seen[at].given_at < lease.asked_at:
            partition = seen[at].partition
            newest[partition] = max(newest.get(partition, 0), seen[at].epoch)
            at += 1
        if lease.epoch < newest.get(lease.partition, 0):
            yield lease
