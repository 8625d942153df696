"""The model registry in memory."""

from dataclasses import replace
from threading import Lock

from cluster.domain.ids import ModelName
from cluster.domain.models import ModelRecord
from cluster.errors import ModelNotFound, StaleRevision


class MemoryModels:
    """A `ModelRegistry` in memory."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lines: dict[ModelName, dict[int, ModelRecord]] = {}
        self._live: dict[ModelName, int] = {}

    def add(self, record: ModelRecord) -> None:
        """Store a version; storing the same (name, version) again changes nothing."""
        with self._lock:
            line = self._lines.setdefault(record.spec.name, {})
            line.setdefault(record.spec.version, replace(record, metrics=dict(record.metrics)))

    def get(self, name: ModelName, version: int) -> ModelRecord:
        """Return a version; raises ModelNotFound."""
        with self._lock:
            return self._stored(name, version)

    def versions(self, name: ModelName) -> tuple[ModelRecord, ...]:
        """Return a line's versions, oldest first; empty for an unknown line."""
        with self._lock:
            return tuple(record for _, record in sorted(self._lines.get(name, {}).items()))

    def names(self, prefix: str, after: ModelName | None, limit: int) -> tuple[ModelName, ...]:
        """Return up to `limit` line names that begin with `prefix` and come after `after`."""
        with self._lock:
            names = sorted(
                name
                for name in self._lines
                if name.startswith(prefix) and (after is None or name > after)
            )
        return tuple(names[:limit])

    def live(self, name: ModelName) -> ModelRecord:
        """Return a line's live version; raises ModelNotFound."""
        with self._lock:
            if name not in self._live:
                raise ModelNotFound(name)
            return self._stored(name, self._live[name])

    def promote(self, name: ModelName, version: int, expected_live: int | None) -> None:
        """Make a version live if `expected_live` still is; raises StaleRevision, ModelNotFound."""
        with self._lock:
            self._stored(name, version)
            if self._live.get(name) != expected_live:
                raise StaleRevision(f"the live version of model {name}", expected_live or 0)
            self._live[name] = version

    def _stored(self, name: ModelName, version: int) -> ModelRecord:
        record = self._lines.get(name, {}).get(version)
        if record is None:
            raise ModelNotFound(name, version)
        return record
