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
