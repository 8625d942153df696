"""Which of the clusters that share one database runs its jobs, where there is more than one.

There are two while a cluster is replaced by another. Both serve HTTP; only the leader has allocator
shards and a supervisor, so that no job ever has two runners that compete for it.
"""

import fcntl
from pathlib import Path
from typing import BinaryIO, Protocol

from cluster.settings import Settings
from cluster.stores.sql.leadership import SessionLeadership

LOCK_FILE = "leader.lock"


class Leadership(Protocol):
    """The lead of a deployment, which one process at a time has, until it ends or gives it up."""

    def held(self) -> bool:
        """Take the lead where nobody has it; tell whether this process has it now."""

    def close(self) -> None:
        """Give the lead up."""


def open_leadership(settings: Settings) -> Leadership:
    """Return the lead over the database of these settings; nothing is taken yet."""
    if settings.database.startswith("sqlite"):
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileLeadership(settings.data_dir / LOCK_FILE)
    return SessionLeadership(settings.database)


class FileLeadership:
    """A `Leadership` by a lock on a file, which goes with its process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: BinaryIO | None = None

    def held(self) -> bool:
        """Take the lead where nobody has it; tell whether this process has it now."""
        if self._lock is None:
            lock = self._path.open("wb")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
            else:
                self._lock = lock
        return self._lock is not None

    def close(self) -> None:
        """Give the lead up."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
