"""What is to be matched: items that want answers, workers who can give them, what one is worth.

Money is in one unit throughout. Skills are bits of a 64-bit mask; whoever covers an item's bits
may answer it.
"""

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from cluster.errors import InvalidField

Ints = npt.NDArray[np.int64]
Masks = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Demand:
    """Items that want answers, as columns of one length (items,).

    `kind` is an item's row of the value model, `wanted` how many answers by distinct workers it
    can use, `skills` what these must cover, `weight` the money that each of its answers loses a
    second until it is there. `barred` (pairs, 2) holds [item, worker]: who must not be asked
    about what, because they have answered it or hold it.
    """

    kind: Ints
    wanted: Ints
    skills: Masks
    weight: Floats
    barred: Ints

    @classmethod
    def of(
        cls,
        kind: npt.ArrayLike,
        *,
        wanted: npt.ArrayLike = 1,
        skills: npt.ArrayLike = 0,
        weight: npt.ArrayLike = 0.0,
        barred: npt.ArrayLike = (),
    ) -> Self:
        """Return a demand from columns, or from numbers that are the same for every item.

        Raises InvalidField for a negative number, and where a column has another length.
        """
        rows = np.asarray(kind, dtype=np.int64)
        demand = cls(
            kind=_column("kind", rows, len(rows), np.int64),
            wanted=_column("wanted", wanted, len(rows), np.int64),
            skills=_column("skills", skills, len(rows), np.uint64),
            weight=_column("weight", weight, len(rows), np.float64),
            barred=np.unique(np.asarray(barred, dtype=np.int64).reshape(-1, 2), axis=0),
        )
        _within("barred", demand.barred[:, 0], len(rows))
        return demand

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Supply:
    """Workers, as columns of one length (workers,).

    A worker's n-th answer is there after `queued_s + n * seconds` and costs `price`. `capacity`
    is how many answers they may be given now.
    """

    price: Floats
    seconds: Floats
    queued_s: Floats
    capacity: Ints
    skills: Masks

    @classmethod
    def of(
        cls,
        price: npt.ArrayLike,
        *,
        seconds: npt.ArrayLike = 0.0,
        queued_s: npt.ArrayLike = 0.0,
        capacity: npt.ArrayLike = 1,
        skills: npt.ArrayLike = 0,
    ) -> Self:
        """Return a supply from columns, or from numbers that are the same for every worker.

        Raises InvalidField for a negative number, and where a column has another length.
        """
        rows = np.asarray(price, dtype=np.float64)
        return cls(
            price=_column("price", rows, len(rows), np.float64),
            seconds=_column("seconds", seconds, len(rows), np.float64),
            queued_s=_column("queued_s", queued_s, len(rows), np.float64),
            capacity=_column("capacity", capacity, len(rows), np.int64),
            skills=_column("skills", skills, len(rows), np.uint64),
        )

    def __len__(self) -> int:
        return len(self.price)


class Values(Protocol):
    """What an answer is worth in money, by kind of item and worker."""

    def rows(self, workers: Ints, kinds: Ints) -> Floats:
        """Return the worth of each of these workers' answers on each of these kinds, (w, k)."""
        ...

    def pairs(self, kinds: Ints, workers: Ints) -> Floats:
        """Return the worth of one answer for each pair, (pairs,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Table:
    """Worth by kind of item and kind of worker: (kinds, worker kinds), and whose kind is which.

    `worker_kind` is None where every worker has a column of their own.
    """

    worth: Floats
    worker_kind: Ints | None = None

    def rows(self, workers: Ints, kinds: Ints) -> Floats:
        """See `Values`."""
        found: Floats = self.worth[np.ix_(kinds, self._columns(workers))].T
        return found

    def pairs(self, kinds: Ints, workers: Ints) -> Floats:
        """See `Values`."""
        found: Floats = self.worth[kinds, self._columns(workers)]
        return found

    def _columns(self, workers: Ints) -> Ints:
        return workers if self.worker_kind is None else self.worker_kind[workers]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Factors:
    """Worth of low rank: (kinds, rank) by (workers, rank)."""

    of_kind: Floats
    of_worker: Floats

    def rows(self, workers: Ints, kinds: Ints) -> Floats:
        """See `Values`."""
        found: Floats = self.of_worker[workers] @ self.of_kind[kinds].T
        return found

    def pairs(self, kinds: Ints, workers: Ints) -> Floats:
        """See `Values`."""
        found: Floats = np.einsum("ij,ij->i", self.of_kind[kinds], self.of_worker[workers])
        return found


def _column(name: str, given: npt.ArrayLike, rows: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    found = np.asarray(given)
    if found.shape not in ((), (rows,)):
        raise InvalidField(name, f"its shape must be ({rows},)")
    if found.size and not (np.isfinite(found) & (found >= 0)).all():
        raise InvalidField(name, "it must be finite and not negative")
    return np.ascontiguousarray(np.broadcast_to(found, rows), dtype=dtype)


def _within(name: str, found: Ints, end: int) -> None:
    if len(found) and not 0 <= int(found.min()) <= int(found.max()) < end:
        raise InvalidField(name, f"it must name rows below {end}")
