"""Workers and API keys in memory."""

from dataclasses import replace
from threading import Lock

from cluster.domain.access import KeyRecord
from cluster.domain.audit import Act
from cluster.domain.ids import KeyId, WorkerId
from cluster.domain.work import WorkerProfile
from cluster.errors import WorkerNotFound
from cluster.stores.memory.audit import MemoryAudit


class MemoryWorkers:
    """A `WorkerStore` in memory."""

    def __init__(self, audit: MemoryAudit) -> None:
        self._lock, self._audit = Lock(), audit
        self._workers: dict[WorkerId, WorkerProfile] = {}

    def add(self, profile: WorkerProfile, act: Act | None = None) -> None:
        """Store a new worker; storing the same id again replaces nothing."""
        with self._lock:
            self._workers.setdefault(profile.worker_id, profile)
            self._audit.note(act)

    def get(self, worker_id: WorkerId) -> WorkerProfile:
        """Return a worker; raises WorkerNotFound."""
        with self._lock:
            return self._stored(worker_id)

    def page(self, after: WorkerId | None, limit: int) -> tuple[WorkerProfile, ...]:
        """Return up to `limit` workers by id that come after `after`."""
        with self._lock:
            ids = sorted(found for found in self._workers if after is None or found > after)
            return tuple(self._workers[worker_id] for worker_id in ids[:limit])

    def set_paused(self, worker_id: WorkerId, *, paused: bool) -> None:
        """Stop or resume giving work to a worker; raises WorkerNotFound."""
        with self._lock:
            self._workers[worker_id] = replace(self._stored(worker_id), paused=paused)

    def _stored(self, worker_id: WorkerId) -> WorkerProfile:
        if worker_id not in self._workers:
            raise WorkerNotFound(worker_id)
        return self._workers[worker_id]


class MemoryKeys:
    """A `KeyStore` in memory."""

    def __init__(self, audit: MemoryAudit) -> None:
        self._lock, self._audit = Lock(), audit
        self._keys: dict[KeyId, KeyRecord] = {}

    def add(self, record: KeyRecord, act: Act | None = None) -> None:
        """Store a key; storing the same key id again replaces nothing."""
        with self._lock:
            self._keys.setdefault(record.key_id, record)
            self._audit.note(act)

    def find(self, key_id: KeyId) -> KeyRecord | None:
        """Return a key by its public id."""
        with self._lock:
            return self._keys.get(key_id)

    def revoke(self, key_id: KeyId, act: Act | None = None) -> None:
        """Make a key useless from now on; revoking an unknown one changes nothing."""
        with self._lock:
            if key_id in self._keys:
                self._keys[key_id] = replace(self._keys[key_id], revoked=True)
            self._audit.note(act)
