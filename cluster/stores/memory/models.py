"""The model registry in memory, with the history of every line."""

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

from cluster.domain.audit import Act
from cluster.domain.ids import ModelName
from cluster.domain.jobs import JobEvent
from cluster.domain.lines import LineStep, Stage, Traffic
from cluster.domain.models import ModelRecord
from cluster.errors import ModelNotFound, StaleRevision
from cluster.stores.memory.audit import MemoryAudit
from cluster.stores.memory.jobs import MemoryEvents


class MemoryModels:
    """`ModelRegistry` and `ModelLines` in memory, over the events stored with steps of lines."""

    def __init__(self, events: MemoryEvents, audit: MemoryAudit) -> None:
        self._lock, self._events, self._audit = Lock(), events, audit
        self._lines: dict[ModelName, dict[int, ModelRecord]] = {}
        self._steps: dict[ModelName, list[LineStep]] = {}

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
            if name not in self._steps:
                raise ModelNotFound(name)
            return self._stored(name, self._steps[name][-1].live)

    def standing(self, name: ModelName) -> LineStep:
        """Return a line's newest step; raises ModelNotFound where it has none."""
        with self._lock:
            if name not in self._steps:
                raise ModelNotFound(name)
            return self._steps[name][-1]

    def take(self, step: LineStep, events: Sequence[JobEvent] = (), act: Act | None = None) -> None:
        """Add the next step of a line, and events to the histories of jobs with it, all or none."""
        with self._lock:
            for version in (step.version, step.live):
                self._stored(step.name, version)
            if step.revision != 1 + len(self._steps.get(step.name, ())):
                raise StaleRevision(f"the line of model {step.name}", step.revision - 1)
            self._steps.setdefault(step.name, []).append(step)
            self._events.add(events, None)
            self._audit.note(act)

    def history(self, name: ModelName, before: int | None, limit: int) -> tuple[LineStep, ...]:
        """Return up to `limit` steps of a line, newest first, of revisions below `before`."""
        with self._lock:
            steps = self._steps.get(name, [])
            older = steps if before is None else steps[: max(before - 1, 0)]
            return tuple(reversed(older))[:limit]

    def came_live(self, name: ModelName, version: int) -> LineStep:
        """Return the newest step by which a version became live; raises ModelNotFound."""
        with self._lock:
            for step in reversed(self._steps.get(name, [])):
                if step.version == version and step.stage is Stage.LIVE:
                    return step
        raise ModelNotFound(name, version)

    def trials(self) -> tuple[LineStep, ...]:
        """Return the newest step of every line that has a version on trial, by name."""
        with self._lock:
            newest = (steps[-1] for _, steps in sorted(self._steps.items()))
            return tuple(step for step in newest if step.candidate is not None)

    def _stored(self, name: ModelName, version: int) -> ModelRecord:
        record = self._lines.get(name, {}).get(version)
        if record is None:
            raise ModelNotFound(name, version)
        return record


class MemoryTraffic:
    """A `TrafficStore` in memory."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: dict[tuple[ModelName, int, Stage], Traffic] = {}

    def add(self, seen: Sequence[Traffic]) -> None:
        """Add to what is stored of each version in its stage."""
        with self._lock:
            for each in seen:
                place = each.name, each.version, each.stage
                stored = self._seen.get(place)
                self._seen[place] = each if stored is None else stored + each

    def of(self, name: ModelName) -> tuple[Traffic, ...]:
        """Return what is stored of a line's versions, by version and stage."""
        with self._lock:
            return tuple(seen for place, seen in sorted(self._seen.items()) if place[0] == name)
