"""A process that ingests a job and kills itself at a given one of its steps.

An object that is written or a chunk that is recorded has two moments: before it is there, and
after.
"""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from cluster.clock import SystemClock
from cluster.domain.ids import JobId
from cluster.domain.items import Chunk
from cluster.runner import JobDesk
from cluster.settings import IngestSettings, Settings
from cluster.stores.objects import FolderObjects
from cluster.stores.opened import open_stores
from cluster.stores.sql.engine import Database
from cluster.stores.sql.ledger import SqlChunks
from ingest.stage import IngestStage

JOB = JobId("job-1")


class Fuse:
    """Ends the process with SIGKILL at the n-th moment."""

    def __init__(self, moment: int) -> None:
        self._left = moment
        self._lock = Lock()

    def burn(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class FusedObjects(FolderObjects):
    """A folder whose process may die before an object appears or after."""

    def __init__(self, root: Path, fuse: Fuse) -> None:
        super().__init__(root)
        self._fuse = fuse

    @contextmanager
    def open_output(self, path: str) -> Iterator[BinaryIO]:
        with super().open_output(path) as stream:
            yield stream
            self._fuse.burn()
        self._fuse.burn()


class FusedChunks(SqlChunks):
    """A ledger whose process may die before chunks are recorded or after."""

    def __init__(self, database: Database, fuse: Fuse) -> None:
        super().__init__(database)
        self._fuse = fuse

    def add(self, chunks: Sequence[Chunk]) -> None:
        self._fuse.burn()
        super().add(chunks)
        self._fuse.burn()


def main() -> None:
    """Ingest the job in a folder, and die at a moment that the command line counts."""
    settings = settings_in(Path(sys.argv[1]))
    fuse = Fuse(int(sys.argv[2]))
    stores = replace(
        open_stores(settings),
        objects=FusedObjects(Path(sys.argv[1]) / "objects", fuse),
        chunks=FusedChunks(Database(settings.database), fuse),
    )
    desk = JobDesk(stores.jobs.load(JOB), stores.jobs, stores.events, SystemClock())
    IngestStage(stores, settings).run(desk)


def settings_in(folder: Path) -> Settings:
    """Return settings under which a job makes many small chunks."""
    return Settings(
        data_dir=folder,
        allowed_roots=(folder.as_uri(),),
        ingest=IngestSettings(chunk_rows=50, chunk_bytes_max=20_000),
    )


if __name__ == "__main__":
    main()
