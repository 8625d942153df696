"""Crowd processes against a real gateway and a real shard, over real HTTP."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import numpy as np
import pytest
import uvicorn

from cluster.domain.ids import JobId
from cluster.stores.memory import memory_stores
from cluster.stores.objects import FolderObjects
from examples.demo import crowd_process, replay_process
from examples.demo.crew import read_given
from examples.demo.crowd import Deck, Persona, WorkerTraits
from examples.demo.crowd_process import Member, Roster
from examples.demo.decks import keys_of, save_deck
from examples.demo.recorded import Recording, save_recording
from examples.demo.replay_process import ReplayRoster
from serve_apps.gateway.api import build_api
from tests.unit.gateway.world import LABELS, World

CONTENTS = tuple(f"text number {number}" for number in range(12))
DEADLINE_S = 20.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    stores = memory_stores(FolderObjects(tmp_path / "objects"))
    with World.of(stores, tmp_path) as opened:
        yield opened


def test_simulated_workers_answer_as_they_would_and_are_told_to_stop(
    world: World, tmp_path: Path
) -> None:
    job = world.asking(CONTENTS)
    save_deck(_deck(), tmp_path / "deck.npz")
    personas = (Persona.GOOD, Persona.CONSTANT_SPAMMER, Persona.VANISHING)
    members = tuple(
        Member(
            worker_id=world.worker(persona),
            number=number,
            traits=WorkerTraits(
                name=persona, persona=persona, accuracy=0.999999, think_s=0.001, price=0.0
            ),
        )
        for number, persona in enumerate(personas)
    )
    with _served(world) as url:
        roster = Roster(
            url=url,
            seed=0,
            deck_files=(tmp_path / "deck.npz",),
            members=members,
            answers_file=tmp_path / "answers.json",
        )
        stop = Event()
        crowd = Thread(target=crowd_process.run, args=(roster, world.key("worker"), stop))
        crowd.start()
        _until(lambda: len(world.stores.answers.read(job.job_id, 0, 100)) >= 15)
        stop.set()
        crowd.join(DEADLINE_S)
    assert not crowd.is_alive()
    given = read_given(roster.answers_file)
    assert len(given) == len(world.stores.answers.read(job.job_id, 0, 100))
    good, spammer, vanishing = (member.worker_id for member in members)
    assert all(answer.right for answer in given if answer.worker_id == good)
    assert not all(answer.right for answer in given if answer.worker_id == spammer)
    assert not any(answer.worker_id == vanishing for answer in given)


def test_a_replay_gives_the_recorded_answers_and_nothing_else(world: World, tmp_path: Path) -> None:
    job = world.asking(CONTENTS)
    recording = _recording()
    save_recording(recording, tmp_path / "recording.npz")
    with _served(world) as url:
        roster = ReplayRoster(
            url=url,
            seed=0,
            recording_file=tmp_path / "recording.npz",
            worker_ids=tuple(world.worker(name) for name in recording.names),
            answers_file=tmp_path / "answers.json",
            claim_items=8,
        )
        stop = Event()
        replay = Thread(target=replay_process.run, args=(roster, world.key("worker"), stop))
        replay.start()
        _until(lambda: len(world.stores.answers.read(job.job_id, 0, 100)) >= 5)
        stop.set()
        replay.join(DEADLINE_S)
    assert not replay.is_alive()
    assert _stored(world, job.job_id) <= _said(recording, roster.worker_ids)
    given = read_given(roster.answers_file)
    assert len(given) == len(_stored(world, job.job_id))
    assert all(answer.right for answer in given if answer.worker_id == roster.worker_ids[0])
    assert {answer.job_id for answer in given} == {job.job_id}


def _deck() -> Deck:
    items, labels = len(CONTENTS), len(LABELS)
    truth = np.arange(items) % labels
    lookalike = np.full((items, labels), 1.0 / (labels - 1))
    lookalike[np.arange(items), truth] = 0.0
    return Deck(
        label_names=LABELS,
        keys=keys_of(CONTENTS),
        truth=truth,
        ease=np.zeros(items),
        lookalike=lookalike,
    )


def _recording() -> Recording:
    """Two workers; the first is always right and knows half of the items."""
    items = np.array([0, 2, 4, 6, 8, 10, 1, 2])
    truth = np.arange(len(CONTENTS)) % len(LABELS)
    return Recording(
        label_names=LABELS,
        keys=keys_of(CONTENTS),
        truth=truth,
        names=("ann", "bob"),
        items=items,
        workers=np.array([0, 0, 0, 0, 0, 0, 1, 1]),
        labels=np.where(np.arange(8) < 6, truth[items], 0),
    )


def _said(recording: Recording, worker_ids: tuple[str, ...]) -> set[tuple[str, int, int]]:
    rows = (recording.workers.tolist(), recording.items.tolist(), recording.labels.tolist())
    return {(worker_ids[worker], item, label) for worker, item, label in zip(*rows, strict=True)}


def _stored(world: World, job_id: JobId) -> set[tuple[str, int, int]]:
    columns = world.stores.answers.read(job_id, 0, 100)
    rows = (columns.workers.tolist(), columns.positions.tolist(), columns.labels.tolist())
    return {
        (columns.worker_ids[worker], position, label)
        for worker, position, label in zip(*rows, strict=True)
    }


@contextmanager
def _served(world: World) -> Iterator[str]:
    """Serve the world's gateway on a free port."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(build_api(world.services), log_level="warning")
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(DEADLINE_S)


def _until(condition: Callable[[], bool]) -> None:
    give_up_at, pause = monotonic() + DEADLINE_S, Event()
    while not condition():
        assert monotonic() < give_up_at
        pause.wait(0.02)
