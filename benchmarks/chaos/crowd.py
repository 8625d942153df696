"""Simulated workers at the HTTP door, and everything they were told there."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from threading import Event
from time import monotonic
from typing import Self

from benchmarks.chaos.corpus import LABELS, Corpus
from benchmarks.chaos.door import Door, Reply
from serve_apps.gateway.schemas.work import (
    AnswerResult,
    AnswerResults,
    OfferList,
    OfferView,
    WorkerView,
)

ACCURACY_MIN, ACCURACY_MAX = 0.8, 0.97
IDLE_WAIT_S = 0.25
RESEND_AFTER_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """How large and how fast a crowd is: `think_s` is spent on each claim of `claim_items`."""

    workers: int = 12
    claim_items: int = 10
    think_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """An item leased to a worker, by a claim sent and answered at these times (monotonic)."""

    token: str
    worker_id: str
    position: int
    asked_at: float
    given_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a worker was told of one answer in the end, at what time (monotonic).

    `verdict` is `accepted`, `replayed` or the type of the problem; the request that brought it was
    sent at `sent_at`. `lost` tells that the answer was sent at least once without a definite reply,
    so that it may have been stored all the same.
    """

    token: str
    worker_id: str
    position: int
    label: str
    verdict: str
    lost: bool
    sent_at: float
    at: float

    @property
    def acknowledged(self) -> bool:
        """Whether the service has said that this answer is stored."""
        return self.verdict in ("accepted", "replayed")


@dataclass(slots=True)
class Diary:
    """What one worker lived through, in order; written by one thread, read by any."""

    leases: list[Lease] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    resent: int = 0


class Worker:
    """A registered worker who would always say the same of the same item."""

    def __init__(self, door: Door, corpus: Corpus, number: int, seed: int) -> None:
        self._door, self._corpus, self._seed = door, corpus, f"{seed}/{number}"
        self._positions = {text: position for position, text in enumerate(corpus.texts)}
        reply = door.post("/v1/workers", {"name": f"worker {number}"})
        self.worker_id = WorkerView.model_validate_json(reply.content).id
        spread = ACCURACY_MAX - ACCURACY_MIN
        self._accuracy = ACCURACY_MIN + spread * self._unit("accuracy")
        self.diary = Diary()

    def claim(self, count: int) -> tuple[OfferView, ...]:
        """Lease items and note them."""
        asked_at = monotonic()
        reply = self._door.post(f"/v1/workers/{self.worker_id}/claims", {"count": count})
        offers = OfferList.model_validate_json(reply.content).offers
        given_at = monotonic()
        self.diary.leases += [
            Lease(
                token=offer.token,
                worker_id=self.worker_id,
                position=self.position(offer),
                asked_at=asked_at,
                given_at=given_at,
            )
            for offer in offers
        ]
        return offers

    def answer(self, offers: Sequence[OfferView], *, turned: bool = False) -> list[Told]:
        """Answer offers, again and again until each is settled, and note what came of them.

        A `turned` answer is another one than this worker would give.
        """
        open_offers, lost, settled = {offer.token: offer for offer in offers}, False, []
        pause = Event()
        while open_offers:
            results, reply = self._send(list(open_offers.values()), turned=turned)
            lost = lost or reply.lost > 0
            settled += [
                replace(told, lost=lost, sent_at=reply.sent_at)
                for result in results
                if (told := self._told(open_offers[result.token], result, turned=turned))
                is not None
            ]
            open_offers = {
                result.token: open_offers[result.token] for result in results if _is_open(result)
            }
            if open_offers:
                lost = True
                self.diary.resent += 1
                pause.wait(RESEND_AFTER_S)
        self.diary.told += settled
        return settled

    def position(self, offer: OfferView) -> int:
        """Return which item of the corpus an offer shows."""
        return self._positions[offer.item.text or ""]

    def opinion(self, position: int) -> str:
        """Return what this worker says of an item."""
        truth = self._corpus.truth[position]
        if self._unit(f"right {position}") < self._accuracy:
            return truth
        others = [label for label in LABELS if label != truth]
        return others[int(self._unit(f"wrong {position}") * len(others))]

    def _send(
        self, offers: Sequence[OfferView], *, turned: bool
    ) -> tuple[Sequence[AnswerResult], Reply]:
        body = {
            "answers": [
                {"token": offer.token, "label": self._label(offer, turned=turned)}
                for offer in offers
            ]
        }
        reply = self._door.post(f"/v1/workers/{self.worker_id}/answers", body)
        self.diary.resent += reply.lost
        return AnswerResults.model_validate_json(reply.content).results, reply

    def _label(self, offer: OfferView, *, turned: bool) -> str:
        label = self.opinion(self.position(offer))
        return LABELS[LABELS.index(label) - 1] if turned else label

    def _told(self, offer: OfferView, result: AnswerResult, *, turned: bool) -> Told | None:
        """Return what a result settles; None where the answer is to be sent again."""
        if _is_open(result):
            return None
        return Told(
            token=offer.token,
            worker_id=self.worker_id,
            position=self.position(offer),
            label=self._label(offer, turned=turned),
            verdict=result.status if result.problem is None else result.problem.type,
            lost=False,
            sent_at=0.0,
            at=monotonic(),
        )

    def _unit(self, what: str) -> float:
        """Return a number in [0, 1) that depends on the worker and the matter alone."""
        digest = blake2b(f"{self._seed}/{what}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64


class Crowd:
    """Workers on threads of their own, from entering this context until it is left."""

    def __init__(self, workers: Sequence[Worker], crew: Crew) -> None:
        self._workers, self._crew = tuple(workers), crew
        self._stop = Event()
        self._threads = ThreadPoolExecutor(len(workers), thread_name_prefix="worker")
        self._running: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._running = [self._threads.submit(self._work, worker) for worker in self._workers]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._threads.shutdown()

    def check(self) -> None:
        """Raise what has ended a worker, if anything has."""
        for running in self._running:
            if running.done():
                running.result()

    @property
    def leases(self) -> list[Lease]:
        """Every lease given to anybody so far."""
        return [lease for worker in self._workers for lease in tuple(worker.diary.leases)]

    @property
    def told(self) -> list[Told]:
        """Everything anybody was told of an answer so far."""
        return [told for worker in self._workers for told in tuple(worker.diary.told)]

    @property
    def resent(self) -> int:
        """How often answers were sent again."""
        return sum(worker.diary.resent for worker in self._workers)

    def _work(self, worker: Worker) -> None:
        while not self._stop.is_set():
            offers = worker.claim(self._crew.claim_items)
            if not offers:
                self._stop.wait(IDLE_WAIT_S)
                continue
            self._stop.wait(self._crew.think_s)
            worker.answer(offers)


def _is_open(result: AnswerResult) -> bool:
    """Whether a part of the service was not there, and the answer is to be sent again."""
    return result.problem is not None and result.problem.retry_after_s is not None
