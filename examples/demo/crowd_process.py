"""One process of the simulated crowd: workers who claim, think and answer over HTTP.

`python -m examples.demo.crowd_process ROSTER.json`, with the worker key in the environment. It
runs until it gets SIGTERM and then writes which answers were accepted. Its decks hold the truth,
so they are the simulator's secret; all it tells the service is answers.
"""

import os
import signal
import sys
import time
from base64 import b64decode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
from pydantic import TypeAdapter

from examples.demo.crew import KEY_VARIABLE, Crew, Given, Hired, Post, write_given
from examples.demo.crowd import (
    REVIEWER_SKILL,
    Deck,
    Persona,
    WorkerTraits,
    answers,
    rng_for,
    staff,
)
from examples.demo.decks import content_key, load_deck, save_deck
from serve_apps.client import ClientError, MusterClient
from serve_apps.gateway.schemas.work import AnswerBody, OfferView, WorkerRequest

PROCESSES = 3
CLAIM_ITEMS = 5

VANISH_S = 20.0
"""How long a vanishing worker stays away with what they claimed."""

IDLE_WAIT_S = (0.1, 2.0)
"""The first and the longest wait after a claim that gave nothing; doubled in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A worker of this process: their id in the service, and their number in the whole crowd."""

    worker_id: str
    number: int
    traits: WorkerTraits


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """What a crowd process works from; `answers_file` is written when it ends."""

    url: str
    seed: int
    deck_files: tuple[Path, ...]
    members: tuple[Member, ...]
    answers_file: Path


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a worker says of an item."""

    label: str
    right: bool


_ROSTER = TypeAdapter(Roster)


def hire_simulated(
    client: MusterClient, url: str, key: str, decks: tuple[Deck, ...], seed: int, folder: Path
) -> Crew:
    """Register the whole simulated crowd and spread it over processes, each kind over all."""
    deck_files = tuple(folder / f"deck-{number}.npz" for number in range(len(decks)))
    for deck, file in zip(decks, deck_files, strict=True):
        save_deck(deck, file)
    members = [_register(client, number, traits) for number, traits in enumerate(staff())]
    posts = []
    for process in range(PROCESSES):
        post = Post(
            module="examples.demo.crowd_process",
            roster_file=folder / f"roster-{process}.json",
            answers_file=folder / f"answers-{process}.json",
        )
        roster = Roster(
            url=url,
            seed=seed,
            deck_files=deck_files,
            members=tuple(members[process::PROCESSES]),
            answers_file=post.answers_file,
        )
        post.roster_file.write_bytes(_ROSTER.dump_json(roster))
        posts.append(post)
    hired = [
        Hired(
            worker_id=member.worker_id,
            name=member.traits.name,
            persona=member.traits.persona,
            price=member.traits.price,
        )
        for member in members
    ]
    return Crew(hired, posts, key)


class SimulatedWorker:
    """One worker, who knows beforehand what they would say of any item."""

    def __init__(self, member: Member, roster: Roster, client: MusterClient, stop: Event) -> None:
        self._member, self._client, self._stop = member, client, stop
        self._rng = np.random.default_rng([roster.seed, member.number])
        self._opinions = _opinions(member, roster)
        self.given: list[Given] = []

    def work(self) -> None:
        """Claim and answer until told to stop."""
        first_s, longest_s = IDLE_WAIT_S
        wait_s = first_s
        while not self._stop.is_set():
            if self._turn():
                wait_s = first_s
            else:
                self._stop.wait(wait_s)
                wait_s = min(2 * wait_s, longest_s)

    def _turn(self) -> bool:
        """Do one claim's worth of work and tell whether there was any."""
        try:
            offers = self._client.claim(self._member.worker_id, CLAIM_ITEMS)
            if not offers:
                return False
            if self._member.traits.persona is Persona.VANISHING:
                self._stop.wait(VANISH_S)
            else:
                self._answer(offers)
        except ClientError:
            return False
        return True

    def _answer(self, offers: tuple[OfferView, ...]) -> None:
        mean_s = self._member.traits.think_s
        took_s = self._rng.gamma(4.0, mean_s / 4.0, len(offers)).tolist()
        if self._stop.wait(sum(took_s)):
            return
        opinions = [self._opinions[content_key(content_of(offer))] for offer in offers]
        results = self._client.answer(
            self._member.worker_id,
            [
                AnswerBody(token=offer.token, label=opinion.label, duration_s=duration_s)
                for offer, opinion, duration_s in zip(offers, opinions, took_s, strict=True)
            ],
        )
        self.given += [
            Given(
                job_id=offer.job_id,
                worker_id=self._member.worker_id,
                right=opinion.right,
                at=time.time(),
            )
            for offer, opinion, result in zip(offers, opinions, results, strict=True)
            if result.status == "accepted"
        ]


def content_of(offer: OfferView) -> str | bytes:
    """Return what a worker is shown."""
    item = offer.item
    return item.text if item.text is not None else b64decode(item.image or "")


def run(roster: Roster, key: str, stop: Event) -> None:
    """Let every member work, one thread each, until `stop` is set; then write their answers."""

    def pause(wait_s: float) -> None:
        stop.wait(wait_s)

    with MusterClient(roster.url, key, wait=pause) as client:
        workers = [SimulatedWorker(member, roster, client, stop) for member in roster.members]
        with ThreadPoolExecutor(len(workers)) as threads:
            for finished in [threads.submit(worker.work) for worker in workers]:
                finished.result()
    write_given(roster.answers_file, [given for worker in workers for given in worker.given])


def stop_on_signal() -> Event:
    """Return an event that SIGTERM sets; Ctrl-C is left to the parent, which sends SIGTERM."""
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return stop


def main() -> None:
    """Run the process whose roster file is named on the command line."""
    roster = _ROSTER.validate_json(Path(sys.argv[1]).read_bytes())
    run(roster, os.environ[KEY_VARIABLE], stop_on_signal())


def _register(client: MusterClient, number: int, traits: WorkerTraits) -> Member:
    skills = [REVIEWER_SKILL] if traits.persona is Persona.REVIEWER else []
    worker = client.register_worker(
        WorkerRequest(name=traits.name, skills=skills, price=traits.price)
    )
    return Member(worker_id=worker.id, number=number, traits=traits)


def _opinions(member: Member, roster: Roster) -> Mapping[str, Opinion]:
    opinions: dict[str, Opinion] = {}
    for number, file in enumerate(roster.deck_files):
        deck = load_deck(file)
        codes = answers(member.traits, deck, rng_for(roster.seed, member.number, number))
        for key, code, truth in zip(deck.keys, codes.tolist(), deck.truth.tolist(), strict=True):
            opinions[key] = Opinion(deck.label_names[code], code == truth)
    return opinions


if __name__ == "__main__":
    main()
