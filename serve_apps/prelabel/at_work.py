"""What a replica is working on, so that it can tell when it hangs."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from cluster.clock import Clock
from cluster.domain.ids import UnixSeconds


class AtWork:
    """Pieces of work and until when each should be done; safe to use from many threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, Lock()
        self._until: dict[object, UnixSeconds] = {}

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Note a piece of work that takes no longer than some seconds, for as long as it is on."""
        piece = object()
        with self._lock:
            self._until[piece] = self._clock.now() + seconds
        try:
            yield
        finally:
            with self._lock:
                del self._until[piece]

    @property
    def is_overdue(self) -> bool:
        """Whether any piece takes longer than it should."""
        with self._lock:
            now = self._clock.now()
            return any(until < now for until in self._until.values())
