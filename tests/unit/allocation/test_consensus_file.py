"""Which rounds of a job's consensus are kept, and how often one is stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import BinaryIO

import numpy as np

from allocation.consensus_file import ROUNDS_KEPT
from allocation.spacing import WRITE_RESTS
from allocation.stage import AskStage
from cluster import paths
from cluster.domain.jobs import Goal, JobState
from cluster.settings import AskingSettings
from cluster.stores.objects import MemoryObjects
from tests.unit.allocation.crowds import CrowdWorld, RestartableShard
from tests.unit.allocation.worlds import JOB, ManualClock, job

CROWD = (0.9,) * 8
WRITE_S = 2.0


@dataclass
class SlowObjects:
    """Objects of which a consensus takes a while to write."""

    objects: MemoryObjects
    clock: ManualClock

    def __post_init__(self) -> None:
        self.written_at: list[float] = []

    def write(self, path: str, content: bytes) -> None:
        self.objects.write(path, content)

    def read(self, path: str) -> bytes:
        return self.objects.read(path)

    def open_input(self, path: str) -> BinaryIO:
        return self.objects.open_input(path)

    @contextmanager
    def open_output(self, path: str) -> Iterator[BinaryIO]:
        if "/consensus/" in path:
            self.written_at.append(self.clock.now())
            self.clock.time += WRITE_S
        with self.objects.open_output(path) as stream:
            yield stream

    def list(self, prefix: str) -> Iterator[str]:
        return self.objects.list(prefix)

    def delete(self, path: str) -> None:
        self.objects.delete(path)


def world(items: int) -> CrowdWorld:
    spec = replace(job().spec, goal=Goal(accuracy=0.9))
    given = CrowdWorld(spec, items, CROWD, np.random.default_rng(5))
    given.predict(accuracy=0.6)
    return given


def rounds(given: CrowdWorld) -> list[int]:
    folder = str(PurePosixPath(paths.consensus(JOB, 0)).parent)
    return [int(PurePosixPath(path).stem) for path in given.stores.objects.list(folder)]


def test_the_newest_rounds_are_kept_and_no_others() -> None:
    # Given a job that stores its consensus at every look, and one that an earlier run left behind
    given = world(items=1_600)
    given.stores.objects.write(paths.consensus(JOB, 0), b"")

    # When it has run
    assert given.stage(consensus_every_s=1e-6).run(given.desk()) is JobState.EXPORTING

    # Then the newest round is there, and those just before it
    newest = given.desk().job.progress.rounds
    assert newest > ROUNDS_KEPT
    assert rounds(given) == list(range(newest - ROUNDS_KEPT + 1, newest + 1))


def test_what_takes_long_to_write_is_written_rarely() -> None:
    # Given a job whose consensus takes two seconds to write
    given = world(items=1_600)
    objects = SlowObjects(MemoryObjects(), given.clock)
    for path in given.stores.objects.list(""):
        objects.write(path, given.stores.objects.read(path))
    given.stores = replace(given.stores, objects=objects)
    shards = [RestartableShard(given, number) for number in range(2)]
    settings = AskingSettings(delivery_rows_min=1, consensus_every_s=1.0)

    # When it runs
    AskStage(given.stores, settings, 0, shards, given.wait).run(given.desk())

    # Then it is written no more often than its cost allows, and once more at the end
    *written_at, last = objects.written_at
    assert len(written_at) > 1
    assert np.diff(written_at).min() >= (1 + WRITE_RESTS) * WRITE_S
    assert last > written_at[-1]
