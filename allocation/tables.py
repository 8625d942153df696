"""The flat tables a partition is made of: answers, who was asked what, and leases out.

Nothing here is an object per item or per answer; an answer costs 11 bytes in `AnswerTable` and 8
in its worker's `History`. Positions are local: 0 is the partition's first item.
"""

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cluster.domain.ids import UnixSeconds
from cluster.domain.work import Purpose

Ints = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

_ROWS_AT_FIRST = 64
_NOT_ANSWERED = -1


class AnswerTable:
    """Answers in the order they were taken, as columns that grow by doubling."""

    def __init__(self) -> None:
        self._size = 0
        self._positions = np.empty(_ROWS_AT_FIRST, dtype=np.int32)
        self._workers = np.empty(_ROWS_AT_FIRST, dtype=np.int32)
        self._labels = np.empty(_ROWS_AT_FIRST, dtype=np.int16)
        self._audit = np.empty(_ROWS_AT_FIRST, dtype=np.bool_)

    def __len__(self) -> int:
        return self._size

    @property
    def positions(self) -> Ints:
        """Local position of each answer's item."""
        return self._positions[: self._size]

    @property
    def workers(self) -> Ints:
        """Index of each answer's worker in its partition."""
        return self._workers[: self._size]

    @property
    def labels(self) -> npt.NDArray[np.int16]:
        """Label code of each answer."""
        return self._labels[: self._size]

    @property
    def audit(self) -> Bools:
        """Whether each answer checks an item instead of counting towards its label."""
        return self._audit[: self._size]

    def append(self, position: int, worker: int, label: int, *, audit: bool) -> int:
        """Add one answer and return its row."""
        row = self._size
        self._reserve(row + 1)
        self._positions[row], self._workers[row] = position, worker
        self._labels[row], self._audit[row] = label, audit
        self._size = row + 1
        return row

    def extend(
        self, positions: Ints, workers: Ints, labels: npt.NDArray[np.int16], audit: Bools
    ) -> None:
        """Add answers, given as columns of one length."""
        start, end = self._size, self._size + len(positions)
        self._reserve(end)
        self._positions[start:end] = positions
        self._workers[start:end] = workers
        self._labels[start:end] = labels
        self._audit[start:end] = audit
        self._size = end

    def _reserve(self, rows: int) -> None:
        if rows <= len(self._positions):
            return
        extra = max(rows, 2 * len(self._positions)) - self._size
        self._positions = np.concatenate([self.positions, np.empty(extra, np.int32)])
        self._workers = np.concatenate([self.workers, np.empty(extra, np.int32)])
        self._labels = np.concatenate([self.labels, np.empty(extra, np.int16)])
        self._audit = np.concatenate([self.audit, np.empty(extra, np.bool_)])


class History:
    """Every item one worker holds or has answered: sorted positions, and where the answers are."""

    __slots__ = ("_positions", "_rows")

    def __init__(self) -> None:
        self._positions = array("i")
        self._rows = array("i")

    @classmethod
    def of_answers(cls, positions: Ints, rows: Ints) -> "History":
        """Return the history of a worker who holds nothing; `positions` are sorted."""
        history = cls()
        history._positions.frombytes(positions.astype(np.int32).tobytes())
        history._rows.frombytes(rows.astype(np.int32).tobytes())
        return history

    def __len__(self) -> int:
        return len(self._positions)

    def __contains__(self, position: int) -> bool:
        return self._find(position) is not None

    def answer_row(self, position: int) -> int | None:
        """Return the row of the worker's answer to an item; None where there is none."""
        at = self._find(position)
        return None if at is None or self._rows[at] == _NOT_ANSWERED else self._rows[at]

    def hold(self, position: int) -> None:
        """Note that the worker now holds an item."""
        at = bisect_left(self._positions, position)
        self._positions.insert(at, position)
        self._rows.insert(at, _NOT_ANSWERED)

    def let_go(self, position: int) -> None:
        """Note that the worker gave up an item it held."""
        at = self._find(position)
        if at is not None and self._rows[at] == _NOT_ANSWERED:
            del self._positions[at]
            del self._rows[at]

    def answered(self, position: int, row: int) -> None:
        """Note where the worker's answer to an item lies."""
        if position not in self:
            self.hold(position)
        self._rows[bisect_left(self._positions, position)] = row

    def without(self, candidates: Ints) -> Ints:
        """Return the candidates that the worker neither holds nor has answered, in their order."""
        if not self._positions:
            return candidates
        known = np.frombuffer(self._positions, dtype=np.int32)
        nearest = np.minimum(np.searchsorted(known, candidates), len(known) - 1)
        strange: Bools = known[nearest] != candidates
        return candidates[strange]

    def _find(self, position: int) -> int | None:
        at = bisect_left(self._positions, position)
        if at < len(self._positions) and self._positions[at] == position:
            return at
        return None


@dataclass(slots=True)
class LiveLease:
    """A lease that is out; position and worker are those of its partition's tables.

    `ends_by` is the latest time to which it may be extended.
    """

    position: int
    worker: int
    purpose: Purpose
    price: float
    expires_at: UnixSeconds
    ends_by: UnixSeconds


class LeaseTable:
    """The leases out in a partition, by id, and which of them end next."""

    def __init__(self) -> None:
        self._live: dict[int, LiveLease] = {}
        self._ends: list[tuple[UnixSeconds, int]] = []
        self.next_id = 0

    def __len__(self) -> int:
        return len(self._live)

    def pairs(self) -> Iterator[tuple[int, LiveLease]]:
        """Yield every lease out, with its id."""
        return iter(self._live.items())

    def get(self, lease_id: int) -> LiveLease | None:
        """Return a lease that is out."""
        return self._live.get(lease_id)

    def add(self, lease_id: int, lease: LiveLease) -> None:
        """Count a lease as out."""
        self._live[lease_id] = lease
        self.next_id = max(self.next_id, lease_id + 1)
        heapq.heappush(self._ends, (lease.expires_at, lease_id))

    def extend(self, lease_id: int, expires_at: UnixSeconds) -> None:
        """Move the end of a lease that is out."""
        self._live[lease_id].expires_at = expires_at
        heapq.heappush(self._ends, (expires_at, lease_id))
        self._forget_old_ends()

    def remove(self, lease_id: int) -> LiveLease | None:
        """Take a lease back and return it; None where it is not out."""
        lease = self._live.pop(lease_id, None)
        self._forget_old_ends()
        return lease

    def due(self, now: UnixSeconds) -> list[int]:
        """Return the leases that have ended by now, by id."""
        found: set[int] = set()
        reached = [0]
        while reached:
            at = reached.pop()
            if at < len(self._ends) and self._ends[at][0] <= now:
                if self._is_current(*self._ends[at]):
                    found.add(self._ends[at][1])
                reached += (2 * at + 1, 2 * at + 2)
        return sorted(found)

    def _forget_old_ends(self) -> None:
        while self._ends and not self._is_current(*self._ends[0]):
            heapq.heappop(self._ends)

    def _is_current(self, expires_at: UnixSeconds, lease_id: int) -> bool:
        lease = self._live.get(lease_id)
        return lease is not None and lease.expires_at == expires_at
