"""Virtual workers: most mean well, some do not, and their messages take their own time."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from allocation.ports import Offer, Submission
from cluster.domain.ids import KeyId, WorkerId
from cluster.domain.work import WorkerProfile

Character = Literal["good", "lazy", "adversarial", "vanishing", "duplicating", "late"]

CHARACTERS: tuple[Character, ...] = (
    "good",
    "lazy",
    "adversarial",
    "vanishing",
    "duplicating",
    "late",
)
SKILL = "latin"


@dataclass(slots=True)
class VirtualWorker:
    """A worker and the offers it still means to answer."""

    profile: WorkerProfile
    character: Character
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


def messages_of(
    worker: VirtualWorker,
    offer: Offer,
    labels: tuple[str, ...],
    now: float,
    rng: np.random.Generator,
) -> list[Message]:
    """Return what a worker sends about an offer, in no particular order."""

    def message(label: str, delay_s: float, token: str = offer.token) -> Message:
        sent = Submission(token=token, label=label, duration_s=float(rng.exponential(5.0)))
        return Message(worker, sent, now + delay_s)

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
        case "vanishing":
            return []
        case "duplicating":
            return [message(truth, rng.exponential(8.0)) for _ in range(int(rng.integers(2, 5)))]
        case "late":
            return [message(truth, rng.exponential(40.0))]
