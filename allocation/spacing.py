"""Work that is repeated no more often than what it costs allows."""

from math import inf

from cluster.domain.ids import UnixSeconds

REST_MAX_S = 900.0
"""No rest is longer, whatever the clock did while the work was under way."""

FIT_RESTS = 4.0
"""A fit, with its publication, is rested from for so many times as long: it takes a core's fifth.

Meanwhile each shard is as sure of its items as new answers make it; what waits is what they tell
of workers. A fit that takes a fifth of a second is over its rest by the stage's next look.
"""

WRITE_RESTS = 20.0
"""Storing the consensus of all items for those who look in takes a twentieth of a core."""


class Spacing:
    """The rest that follows some work: so many times as long as that took, at least `least_s`.

    Then the work takes at most one part in `times` + 1 of the time. A clock that is set back ends
    the rest.
    """

    def __init__(self, times: float, *, least_s: float = 0.0) -> None:
        self._times, self._least_s = times, least_s
        self._began_at, self._rest_s = inf, 0.0

    def begin(self, worked_from: UnixSeconds, now: UnixSeconds) -> None:
        """Rest from now on, after work since `worked_from`."""
        worked_s = max(now - worked_from, 0.0)
        self._began_at = now
        self._rest_s = max(min(self._times * worked_s, REST_MAX_S), self._least_s)

    def is_on(self, now: UnixSeconds) -> bool:
        """Return whether the rest lasts still; not before any work."""
        return self._began_at <= now < self._began_at + self._rest_s
