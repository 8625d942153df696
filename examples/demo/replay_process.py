"""The recorded crowd at work over HTTP: every recorded worker registers, claims and answers.

The service decides who is asked what, but a recorded worker can only say what they once said. So
whoever's turn it is claims much more than they answer, answers what they have a recording for, the
most valuable first, and gives the rest back at once. That costs a few dozen leases an answer and
one turn at a time, but no answer is invented and none changes hands. Turns go to workers in
proportion to what they have left to say. `python -m examples.demo.replay_process ROSTER.json` runs
until SIGTERM; where the recording runs dry, the job's deadline ends it.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
from pydantic import TypeAdapter

from examples.demo.crew import KEY_VARIABLE, Crew, Given, Hired, Post, write_given
from examples.demo.crowd_process import content_of, stop_on_signal
from examples.demo.decks import content_key
from examples.demo.recorded import Recording, load_recording, save_recording
from serve_apps.client import ClientError, MusterClient
from serve_apps.gateway.schemas.work import AnswerBody, OfferView, WorkerRequest

CLAIM_ITEMS = 400
"""How many leases one turn takes: most go back, for few workers know a given item."""

ANSWERS_A_TURN = 25
WORKER_PRICE = 0.04
IDLE_WAIT_S = (0.02, 1.0)
"""The first and the longest wait after a turn that gave nothing; doubled in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRoster:
    """What the replay works from: `worker_ids` are the recorded workers' ids in the service.

    A turn takes `claim_items` leases, which the service's limits must allow.
    """

    url: str
    seed: int
    recording_file: Path
    worker_ids: tuple[str, ...]
    answers_file: Path
    claim_items: int = CLAIM_ITEMS


_ROSTER = TypeAdapter(ReplayRoster)


def hire_recorded(
    client: MusterClient, url: str, key: str, recording: Recording, seed: int, folder: Path
) -> Crew:
    """Register every recorded worker and describe the process that replays them."""
    workers = [
        client.register_worker(WorkerRequest(name=name, price=WORKER_PRICE))
        for name in recording.names
    ]
    post = Post(
        module="examples.demo.replay_process",
        roster_file=folder / "roster.json",
        answers_file=folder / "answers.json",
    )
    roster = ReplayRoster(
        url=url,
        seed=seed,
        recording_file=folder / "recording.npz",
        worker_ids=tuple(worker.id for worker in workers),
        answers_file=post.answers_file,
    )
    save_recording(recording, roster.recording_file)
    post.roster_file.write_bytes(_ROSTER.dump_json(roster))
    hired = [
        Hired(worker_id=worker.id, name=worker.name, persona="recorded", price=WORKER_PRICE)
        for worker in workers
    ]
    return Crew(hired, [post], key)


class Replay:
    """All recorded workers, who take turns."""

    def __init__(self, roster: ReplayRoster, client: MusterClient) -> None:
        self._roster, self._client = roster, client
        self._rng = np.random.default_rng(roster.seed)
        recording = load_recording(roster.recording_file)
        self._truth = dict(zip(recording.keys, recording.truth.tolist(), strict=True))
        self._label_names = recording.label_names
        self._said: list[dict[str, int]] = [{} for _ in recording.names]
        for item, worker, label in zip(
            recording.items.tolist(),
            recording.workers.tolist(),
            recording.labels.tolist(),
            strict=True,
        ):
            self._said[worker][recording.keys[item]] = label
        self.given: list[Given] = []

    def work(self, stop: Event) -> None:
        """Let workers take turns until told to stop or nobody has anything left to say."""
        first_s, longest_s = IDLE_WAIT_S
        wait_s = first_s
        while not stop.is_set():
            left = np.array([len(said) for said in self._said], dtype=np.float64)
            if left.sum() == 0:
                return
            if self._turn(int(self._rng.choice(len(left), p=left / left.sum()))):
                wait_s = first_s
            else:
                stop.wait(wait_s)
                wait_s = min(2 * wait_s, longest_s)

    def _turn(self, worker: int) -> bool:
        """Let one worker claim, answer what they can and give back the rest."""
        worker_id, said = self._roster.worker_ids[worker], self._said[worker]
        try:
            offers = self._client.claim(worker_id, self._roster.claim_items)
            known = [offer for offer in offers if content_key(content_of(offer)) in said]
            answered = self._answer(worker_id, said, known[:ANSWERS_A_TURN])
            spare = {offer.token for offer in offers}
            spare -= {offer.token for offer in known[:ANSWERS_A_TURN]}
            if spare:
                self._client.release(worker_id, sorted(spare))
        except ClientError:
            return False
        return answered

    def _answer(self, worker_id: str, said: dict[str, int], known: Sequence[OfferView]) -> bool:
        if not known:
            return False
        keys = [content_key(content_of(offer)) for offer in known]
        bodies = [
            AnswerBody(token=offer.token, label=self._label_names[said[key]])
            for offer, key in zip(known, keys, strict=True)
        ]
        results = self._client.answer(worker_id, bodies)
        for offer, key, result in zip(known, keys, results, strict=True):
            if result.status == "accepted":
                truth, label = self._truth[key], said.pop(key)
                given = Given(
                    job_id=offer.job_id,
                    worker_id=worker_id,
                    right=None if truth < 0 else label == truth,
                    at=time.time(),
                )
                self.given.append(given)
        return any(result.status == "accepted" for result in results)


def run(roster: ReplayRoster, key: str, stop: Event) -> None:
    """Replay until `stop` is set; then write which answers were accepted."""

    def pause(wait_s: float) -> None:
        stop.wait(wait_s)

    with MusterClient(roster.url, key, wait=pause) as client:
        replay = Replay(roster, client)
        replay.work(stop)
    write_given(roster.answers_file, replay.given)


def main() -> None:
    """Run the process whose roster file is named on the command line."""
    roster = _ROSTER.validate_json(Path(sys.argv[1]).read_bytes())
    run(roster, os.environ[KEY_VARIABLE], stop_on_signal())


if __name__ == "__main__":
    main()
