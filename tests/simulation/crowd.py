"""Virtual workers: most mean well, some do not, and their messages take their own time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from allocation.ports import Offer, Submission
from cluster.domain.ids import JobId, KeyId, WorkerId
from cluster.domain.work import WorkerProfile

Character = Literal["good", "lazy", "adversarial", "colluding", "vanishing", "duplicating", "late"]

CHARACTERS: tuple[Character, ...] = (
    "good",
    "lazy",
    "adversarial",
    "colluding",
    "vanishing",
    "duplicating",
    "late",
)
SKILL = "latin"


@dataclass(slots=True)
class VirtualWorker:
    """A worker and the offers it still means to answer; `partner` is who colludes with it."""

    profile: WorkerProfile
    character: Character
    partner: "VirtualWorker | None" = None
    holding: list[Offer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Message:
    """An answer under way; it arrives at `at` at the earliest."""

    worker: VirtualWorker
    submission: Submission
    at: float


def hire(number: int, character: Character, rng: np.random.Generator) -> VirtualWorker:
    """Return a new worker; two in three have the skill that some jobs ask for."""
    worker_id = WorkerId(f"{character}-{number}")
    skills = frozenset({SKILL}) if rng.random() < 2 / 3 else frozenset[str]()
    profile = WorkerProfile(
        worker_id=worker_id,
        owner=KeyId("key"),
        name=worker_id,
        skills=skills,
        price=float(rng.choice([0.0, 0.01, 0.05])),
        registered_at=0.0,
    )
    return VirtualWorker(profile=profile, character=character)


def hire_crowd(
    workers: int, characters: tuple[Character, ...], rng: np.random.Generator
) -> list[VirtualWorker]:
    """Return a crowd of these characters, of whom the colluding know one another."""
    crowd = [
        hire(number, characters[int(rng.integers(len(characters)))], rng)
        for number in range(workers)
    ]
    ring = [worker for worker in crowd if worker.character == "colluding"]
    for worker, partner in zip(ring, ring[1:] + ring[:1], strict=True):
        worker.partner = partner
    return crowd


def messages_of(  # noqa: PLR0911 - a case for each character
    worker: VirtualWorker,
    offer: Offer,
    labels: tuple[str, ...],
    now: float,
    rng: np.random.Generator,
) -> list[Message]:
    """Return what a worker sends about an offer, in no particular order."""

    def message(
        label: str, delay_s: float, token: str = offer.token, sender: VirtualWorker = worker
    ) -> Message:
        sent = Submission(token=token, label=label, duration_s=float(rng.exponential(5.0)))
        return Message(sender, sent, now + delay_s)

    truth = labels[offer.position % len(labels)]
    drawn = labels[int(rng.integers(len(labels)))]
    match worker.character:
        case "good":
            return [message(truth if rng.random() < 0.85 else drawn, rng.exponential(3.0))]
        case "lazy":
            return [message(labels[0], rng.exponential(1.0))]
        case "adversarial":
            forged = offer.token[:-1] + ("A" if offer.token[-1] != "A" else "B")
            return [
                message(drawn, rng.exponential(3.0)),
                message(labels[0], rng.exponential(6.0)),
                message(drawn, rng.exponential(3.0), forged),
                message("no such label", 0.0),
            ]
        case "colluding":
            agreed = labels[(7 * offer.position + 3) % len(labels)]
            partner = worker.partner or worker
            return [
                message(agreed, rng.exponential(3.0)),
                message(agreed, rng.exponential(3.0), sender=partner),
            ]
        case "vanishing":
            return []
        case "duplicating":
            return [message(truth, rng.exponential(8.0)) for _ in range(int(rng.integers(2, 5)))]
        case "late":
            return [message(truth, rng.exponential(40.0))]


def honest(
    offers: Sequence[Offer], labels_of: Callable[[JobId], Sequence[str]]
) -> list[Submission]:
    """Return answers to offers that depend on the items alone, given the labels of each job."""
    return [
        Submission(
            token=offer.token, label=labels_of(offer.job_id)[offer.position % 2], duration_s=1.0
        )
        for offer in offers
    ]
