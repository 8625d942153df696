"""Work that goes on beside the jobs, on threads of its own."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from cluster.clock import Clock
from cluster.domain.ids import UnixSeconds

RESTART_AFTER_S = 10.0

_logger = logging.getLogger(__name__)


class Chores:
    """Keeps functions running that are not meant to return; one that ends is run again later."""

    def __init__(self, chores: Mapping[str, Callable[[], None]], clock: Clock) -> None:
        self._chores, self._clock = chores, clock
        self._threads = ThreadPoolExecutor(len(chores), "chore")
        self._running: dict[str, Future[None]] = {}
        self._start_at: dict[str, UnixSeconds] = dict.fromkeys(chores, 0.0)

    def keep(self) -> None:
        """Note what has ended, and start what is not running and has waited long enough."""
        now = self._clock.now()
        for name, work in self._chores.items():
            running = self._running.get(name)
            if running is not None and running.done():
                _logger.error("%s broke down; it is started again", name, exc_info=_error(running))
                del self._running[name]
                self._start_at[name] = now + RESTART_AFTER_S
            if name not in self._running and now >= self._start_at[name]:
                self._running[name] = self._threads.submit(work)


def _error(ended: Future[None]) -> BaseException | None:
    return ended.exception()
