"""Time as an argument: the core is told the time, only shells ask for it."""

import time
from typing import Protocol

from cluster.domain.ids import UnixSeconds


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> UnixSeconds:
        """Return seconds since 1970-01-01 UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> UnixSeconds:
        """Return the machine's time."""
        return time.time()


class SteadyClock:
    """The machine's time as it was at first, and what has passed since.

    Nobody who sets the machine's clock makes a lease end early by it, or never.
    """

    def __init__(self) -> None:
        self._ahead_s = time.time() - time.monotonic()

    def now(self) -> UnixSeconds:
        """Return the time, which never jumps."""
        return self._ahead_s + time.monotonic()
