"""The flat tables a partition is made of: answers, who was asked what, and leases out.

Nothing here is an object per item, answer or lease; an answer costs 11 bytes in `AnswerTable` and
8 in its worker's `History`, a lease 39 in `LeaseTable`. Positions are local: 0 is the first item of
the partition.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cluster.domain.ids import UnixSeconds
from cluster.domain.work import PURPOSES, Purpose

Ints = npt.NDArray[np.int32]
Ids = npt.NDArray[np.int64]
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

    @property
    def nbytes(self) -> int:
        """How much memory the table takes."""
        columns = (self._positions, self._workers, self._labels, self._audit)
        return sum(column.nbytes for column in columns)

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

    def knows(self, candidates: Ints) -> Bools:
        """Return which candidates the worker holds or has answered."""
        if not self._positions:
            return np.zeros(len(candidates), dtype=np.bool_)
        known = np.frombuffer(self._positions, dtype=np.int32)
        nearest = np.minimum(np.searchsorted(known, candidates), len(known) - 1)
        found: Bools = known[nearest] == candidates
        return found

    def without(self, candidates: Ints) -> Ints:
        """Return the candidates that the worker neither holds nor has answered, in their order."""
        return candidates[~self.knows(candidates)] if self._positions else candidates

    def _find(self, position: int) -> int | None:
        at = bisect_left(self._positions, position)
        if at < len(self._positions) and self._positions[at] == position:
            return at
        return None


class LiveLease(NamedTuple):
    """A lease that is out; position and worker are those of its partition's tables."""

    position: int
    worker: int
    purpose: Purpose


LEASE = np.dtype(
    [
        ("position", np.int32),
        ("worker", np.int32),
        ("uses", np.int32),
        ("price", np.float64),
        ("expires_at", np.float64),
        ("ends_by", np.float64),
        ("audit", np.bool_),
        ("out", np.bool_),
        ("settling", np.bool_),
    ]
)
"""A row of `LeaseTable`.

`uses` counts how often the row held a lease, `ends_by` is the latest time to which this one may
be extended, and while one is `settling` its answer is on its way to the log: it neither runs out
nor can be given back.
"""

Leases = npt.NDArray[np.void]
"""Rows of the type `LEASE`."""

_ROW_BITS = np.int64(32)
_ROW_MASK = np.int64((1 << 32) - 1)


class LeaseTable:
    """The leases out in a partition, as columns.

    An id is a row and how often that row was used before, so that none is given out twice and
    none needs to be looked up.
    """

    def __init__(self) -> None:
        self._rows: Leases = np.zeros(_ROWS_AT_FIRST, dtype=LEASE)
        self._free: Ints = np.arange(_ROWS_AT_FIRST, dtype=np.int32)[::-1].copy()
        self._out = 0
        self._first_end = np.inf

    def __len__(self) -> int:
        return self._out

    @property
    def nbytes(self) -> int:
        """How much memory the table takes."""
        return self._rows.nbytes + self._free.nbytes

    def pairs(self) -> Iterator[tuple[int, LiveLease]]:
        """Yield every lease out, with its id."""
        for row in np.flatnonzero(self._rows["out"]):
            found = self._rows[row]
            purpose = PURPOSES[int(found["audit"])]
            lease = LiveLease(int(found["position"]), int(found["worker"]), purpose)
            yield int(self._ids(row)), lease

    def out(self) -> Leases:
        """Return every lease out."""
        leases: Leases = self._rows[self._rows["out"]]
        return leases

    def held_by(self, worker: int) -> tuple[Ids, Leases]:
        """Return the leases that a worker may still answer, and their ids."""
        held = self._rows["out"] & ~self._rows["settling"] & (self._rows["worker"] == worker)
        rows = np.flatnonzero(held)
        return self._ids(rows), self._rows[rows]

    def next_ids(self, count: int) -> Ids:
        """Return the ids that the next leases will have, in their order; changes nothing."""
        rows = self._free[: -count - 1 : -1].astype(np.int64)
        if len(rows) < count:
            more = np.arange(count - len(rows), dtype=np.int64) + len(self._rows)
            return np.concatenate([self._ids(rows), more])
        return self._ids(rows)

    def find(self, lease_ids: Ids) -> tuple[Leases, Bools]:
        """Return a row for each id, and whether that lease is out; a copy."""
        rows = np.minimum(lease_ids & _ROW_MASK, len(self._rows) - 1)
        found = self._rows[rows]
        is_out: Bools = found["out"] & (self._ids(rows) == lease_ids)
        return found, is_out

    def add(self, lease_ids: Ids, leases: Leases) -> None:
        """Count leases as out; `lease_ids` are the next ones."""
        self._reserve(len(lease_ids))
        rows = lease_ids & _ROW_MASK
        self._free = self._free[: len(self._free) - len(rows)]
        leases["uses"] = lease_ids >> _ROW_BITS
        leases["out"] = True
        self._rows[rows] = leases
        self._out += len(rows)
        self._first_end = min(self._first_end, float(leases["expires_at"].min()))

    def extend(self, lease_id: int, expires_at: UnixSeconds) -> None:
        """Move the end of a lease that is out."""
        self._rows["expires_at"][lease_id & int(_ROW_MASK)] = expires_at
        self._first_end = min(self._first_end, expires_at)

    def settle(self, lease_ids: Ids) -> None:
        """Note that the answers to leases are on their way."""
        self._rows["settling"][lease_ids & _ROW_MASK] = True

    def settle_none(self) -> None:
        """Note that no answer is on its way any more: all leases may run out again."""
        self._rows["settling"] = False
        self.note_first_end()

    def remove(self, lease_ids: Ids) -> Leases:
        """Take leases back and return those that were out; each id once."""
        found, is_out = self.find(lease_ids)
        rows = (lease_ids & _ROW_MASK)[is_out]
        self._rows["out"][rows] = False
        self._rows["settling"][rows] = False
        self._rows["uses"][rows] += 1
        self._free = np.concatenate([self._free, rows.astype(np.int32)])
        self._out -= len(rows)
        return found[is_out]

    def may_be_due(self, now: UnixSeconds) -> bool:
        """Return whether any lease may have ended by now, without looking at each."""
        return self._first_end <= now

    def due(self, now: UnixSeconds) -> Ids:
        """Return the leases that have ended by now, in the order of their rows."""
        ended = self._rows["out"] & ~self._rows["settling"] & (self._rows["expires_at"] <= now)
        return self._ids(np.flatnonzero(ended))

    def note_first_end(self) -> None:
        """Find out anew when the next lease ends; looks at each."""
        held = self._rows["out"] & ~self._rows["settling"]
        self._first_end = float(self._rows["expires_at"][held].min(initial=np.inf))

    def _ids(self, rows: Ids | np.intp) -> Ids:
        ids: Ids = (self._rows["uses"][rows].astype(np.int64) << _ROW_BITS) | rows
        return ids

    def _reserve(self, count: int) -> None:
        """Make sure that so many rows are free; new ones come after those that are."""
        lacking = count - len(self._free)
        if lacking > 0:
            first = len(self._rows)
            more = max(lacking, first)
            self._rows = np.concatenate([self._rows, np.zeros(more, dtype=LEASE)])
            new = np.arange(first, first + more, dtype=np.int32)[::-1]
            self._free = np.concatenate([new, self._free])
