"""The audit log in memory."""

from threading import Lock

from cluster.audit import chained
from cluster.domain.audit import EMPTY, Act, AuditEntry, Head


class MemoryAudit:
    """An `AuditLog` in memory, to which other stores append what they are told of."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: list[AuditEntry] = []

    def append(self, act: Act) -> AuditEntry:
        """Record an act and return its entry."""
        with self._lock:
            last = self._entries[-1] if self._entries else None
            before = EMPTY if last is None else Head(last.seq, last.sha256)
            self._entries.append(chained(act, before))
            return self._entries[-1]

    def note(self, act: Act | None) -> None:
        """Record an act, if there is one."""
        if act is not None:
            self.append(act)

    def read(self, after_seq: int, limit: int) -> tuple[AuditEntry, ...]:
        """Return up to `limit` entries numbered above `after_seq`, in order."""
        with self._lock:
            return tuple(self._entries[after_seq : after_seq + limit])
