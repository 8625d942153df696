"""How often a key may call: a token bucket each, by the generic cell rate algorithm.

A bucket of `burst` tokens fills at `per_s`; a request takes one. All that is kept of a bucket is
the time at which it would be full (ITU-T I.371, annex A: the theoretical arrival time).
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from cluster.domain.ids import UnixSeconds

Holder = TypeVar("Holder")

_ROUNDING_S, _ROUNDING_TOKENS = 1e-6, 1e-3
"""Times are floats: a token that is this close is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many requests a second in the long run, and so many at once."""

    per_s: float
    burst: int

    @property
    def window_s(self) -> float:
        """How long an empty bucket takes to fill."""
        return self.burst / self.per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a request was told: `left` more may come at once, all of `burst` after `full_in_s`.

    `retry_after_s` is None where the request may pass, else the time until one may.
    """

    left: int
    full_in_s: float
    retry_after_s: float | None = None


class Buckets(Generic[Holder]):
    """The buckets of many holders; of more than `holders_max` those longest unused are forgotten.

    Whoever is forgotten has a full bucket.
    """

    def __init__(self, holders_max: int) -> None:
        self._holders_max = holders_max
        self._full_at: OrderedDict[Holder, UnixSeconds] = OrderedDict()

    def take(self, holder: Holder, rate: Rate, now: UnixSeconds) -> Turn:
        """Take a token from a holder's bucket, if there is one."""
        # Where the clock has gone back a bucket is empty at worst, and fills from then on.
        full_at = min(max(self._full_at.get(holder, now), now), now + rate.window_s)
        late_s = full_at + 1.0 / rate.per_s - (now + rate.window_s)
        if late_s > _ROUNDING_S:
            self._keep(holder, full_at)
            return Turn(left=0, full_in_s=full_at - now, retry_after_s=late_s)
        full_at += 1.0 / rate.per_s
        self._keep(holder, full_at)
        left = int((now + rate.window_s - full_at) * rate.per_s + _ROUNDING_TOKENS)
        return Turn(left=left, full_in_s=full_at - now)

    def _keep(self, holder: Holder, full_at: UnixSeconds) -> None:
        self._full_at[holder] = full_at
        self._full_at.move_to_end(holder)
        if len(self._full_at) > self._holders_max:
            self._full_at.popitem(last=False)
