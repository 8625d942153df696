"""Fair shares between those who wait for the same workers, by start-time fair queueing.

Each flow has a weight. In any stretch of time in which two flows both have something to offer,
their grants divided by their weights differ by at most `batch/weight` of the one plus
`batch/weight` of the other, where a batch is the most that is granted to a flow at one go
(Goyal, Vin, Cheng 1996). A claim served alone is granted question by question; of claims that are
served together, each is one batch. A flow that had nothing to offer keeps no credit from that time.
"""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Flow = TypeVar("Flow", bound=Hashable)


class FairShares(Generic[Flow]):
    """The virtual clock of a set of flows."""

    def __init__(self) -> None:
        self._now = 0.0
        self._finish: dict[Flow, float] = {}

    def next_of(self, flows: Iterable[Flow]) -> Flow:
        """Return the flow whose turn it is; equals are served in the order given."""
        return min(flows, key=self._start)

    def in_turn(self, flows: Iterable[Flow]) -> list[Flow]:
        """Return flows from the one whose turn it is to the one that may wait longest."""
        return sorted(flows, key=self._start)

    def charge(self, flow: Flow, grants: int, weight: float) -> None:
        """Count what a flow was granted."""
        self._now = self._start(flow)
        self._finish[flow] = self._now + grants / weight

    def forget(self, flow: Flow) -> None:
        """Drop a flow that will not come back."""
        self._finish.pop(flow, None)

    def copy(self) -> "FairShares[Flow]":
        """Return a clock that can be run ahead without moving this one."""
        ahead: FairShares[Flow] = FairShares()
        ahead._now, ahead._finish = self._now, dict(self._finish)
        return ahead

    def _start(self, flow: Flow) -> float:
        return max(self._now, self._finish.get(flow, 0.0))
