"""Passes over answers: what EM asks of a table of votes, however and wherever it is kept.

`LocalPasses` does them in this process, with threads if wished. Counts of disjoint sets of items
add up, so a table may as well lie in many processes (`allocation/job.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from allocation.quality import kernels
from allocation.quality.kernels import Indices, Reals
from allocation.quality.votes import Floats, Votes

Precision = type[np.float64] | type[np.float32]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Sheet:
    """Votes in the order of their items: 4 bytes an answer and 4 an item, 8 each if very many.

    `cells` (answers,) holds worker * K + label; the answers to item i end before `ends[i]`.
    """

    cells: Indices
    ends: Indices
    n_workers: int
    n_labels: int

    @classmethod
    def of(cls, votes: Votes) -> Self:
        """Return the votes sorted; answers to one item keep their order."""
        cells = np.empty(len(votes), dtype=_narrowest(votes.n_workers * votes.n_labels))
        ends = np.empty(votes.n_items, dtype=_narrowest(len(votes)))
        kernels.group(votes.items, votes.workers, votes.labels, votes.n_labels, cells, ends)
        return cls(cells=cells, ends=ends, n_workers=votes.n_workers, n_labels=votes.n_labels)

    def answers_per_cell(self) -> Floats:
        """Return how often each worker gave each label, (workers * K,)."""
        totals = np.zeros(self.n_workers * self.n_labels)
        kernels.tally(self.cells, totals)
        return totals

    def cuts(self, blocks: int) -> list[int]:
        """Return where to cut the items into blocks of about as many answers each."""
        answers = len(self.cells)
        wanted = [answers * cut // blocks for cut in range(1, blocks)]
        return [0, *(int(np.searchsorted(self.ends, each)) for each in wanted), len(self.ends)]

    def split(self, blocks: int) -> Iterator[Self]:
        """Yield runs of items with about as many answers each, in order; workers stay as coded."""
        for first, last in pairwise(self.cuts(blocks)):
            begin = self.ends[first - 1] if first else 0
            ends = self.ends[first:last]
            cells = self.cells[begin : ends[-1] if len(ends) else begin]
            yield replace(self, cells=cells, ends=ends - begin)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Counted:
    """What a pass found; sums over items, in nats where they are logarithms.

    `counts` (blocks, workers * K, K - 1) holds expected answers by block, cell and truth but the
    first, `class_mass` (K,) the expected items of each label. The log evidence leaves out the
    answers' log probabilities under the first truth; `item_evidence` is the expected log item
    prior. The arrays are overwritten by the next pass.
    """

    counts: Reals
    class_mass: Floats
    log_evidence: float = 0.0
    entropy: float = 0.0
    item_evidence: float = 0.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Tables:
    """Log confusions by cell, as a pass reads them.

    `odds` (cells, K - 1) is log P(answer | truth) less `base` (cells,), that of the first truth.
    """

    odds: Reals
    base: Floats
    log_class_prior: Floats

    def log_confusion(self) -> Floats:
        """Return log P(answer | truth) as [worker, truth, answer], (workers, K, K)."""
        k = len(self.log_class_prior)
        workers = len(self.base) // k
        log_confusion = np.empty((workers, k, k))
        log_confusion[:, 0, :] = self.base.reshape(workers, k)
        odds = self.odds.reshape(workers, k, k - 1).transpose(0, 2, 1)
        np.add(odds, log_confusion[:, :1, :], out=log_confusion[:, 1:, :])
        return log_confusion


class Passes(Protocol):
    """The answers, wherever they are."""

    @property
    def answers_per_cell(self) -> Floats:
        """How often each worker gave each label, (workers * K,)."""
        ...

    def begin(self) -> Counted:
        """Count the answers under the posterior that EM starts from."""
        ...

    def sweep(self, tables: Tables) -> Counted:
        """Find every item's posterior and count the answers under it."""
        ...


class LocalPasses:
    """A sheet in this process, passed over by `threads` threads; `posterior` (items, K) is the
    last pass's, in the chosen precision.

    `log_item_prior` (items, K) is one more witness. EM starts from `init` (items, K), or where
    that is None from vote shares, the item prior counting as one vote.
    """

    def __init__(
        self,
        sheet: Sheet,
        *,
        log_item_prior: Floats | None = None,
        init: Floats | None = None,
        threads: int = 1,
        precision: Precision = np.float64,
    ) -> None:
        items, k = len(sheet.ends), sheet.n_labels
        self._sheet, self._init = sheet, init
        self._item_prior: Reals = np.empty((0, k), dtype=precision)
        if log_item_prior is not None:
            self._item_prior = np.ascontiguousarray(log_item_prior, dtype=precision)
        self._bounds = sheet.cuts(threads)
        self._counts: Reals = np.empty((threads, sheet.n_workers * k, k - 1), dtype=precision)
        self._class_mass = np.empty((threads, k))
        near = self._counts[0].nbytes <= kernels.NEAR_BYTES_MAX
        self._ahead = 0 if near else kernels.AHEAD
        self._known_min = 1 if log_item_prior is None else 0
        self.posterior: Reals = np.empty((items, k), dtype=precision)

    @cached_property
    def answers_per_cell(self) -> Floats:
        """How often each worker gave each label, (workers * K,)."""
        return self._sheet.answers_per_cell()

    def begin(self) -> Counted:
        """Count the answers under the posterior that EM starts from."""
        sheet = self._sheet
        if self._init is not None:
            self.posterior[:] = self._init
        else:
            witness = _shares(self._item_prior)
            kernels.share(sheet.cells, sheet.ends, (0, len(sheet.ends)), witness, self.posterior)

        def count(block: int, first: int, last: int) -> tuple[float, float]:
            counts, class_mass = self._counts[block], self._class_mass[block]
            kernels.count(
                sheet.cells,
                sheet.ends,
                (first, last),
                sheet.n_labels,
                self._ahead,
                self.posterior,
                counts,
                class_mass,
                self._known_min,
            )
            return 0.0, 0.0

        return self._in_blocks(count)

    def sweep(self, tables: Tables) -> Counted:
        """Find every item's posterior and count the answers under it."""
        sheet, sweep = self._sheet, kernels.sweep_of(self._sheet.n_labels, self._ahead)

        def one(block: int, first: int, last: int) -> tuple[float, float]:
            return sweep(
                sheet.cells,
                sheet.ends,
                (first, last),
                tables.odds,
                tables.log_class_prior,
                self._item_prior,
                self.posterior,
                self._counts[block],
                self._class_mass[block],
                self._known_min,
            )

        return self._in_blocks(one)

    def _in_blocks(self, one: Callable[[int, int, int], tuple[float, float]]) -> Counted:
        def counted(block: int, first: int, last: int) -> tuple[float, float]:
            self._counts[block].fill(0.0)
            self._class_mass[block].fill(0.0)
            return one(block, first, last)

        found = in_blocks(counted, self._bounds)
        return Counted(
            counts=self._counts,
            class_mass=self._class_mass.sum(axis=0),
            log_evidence=sum(evidence for evidence, _ in found),
            entropy=sum(entropy for _, entropy in found),
            item_evidence=float(np.vdot(self.posterior[: len(self._item_prior)], self._item_prior)),
        )


def in_blocks(
    one: Callable[[int, int, int], tuple[float, float]], bounds: Sequence[int]
) -> list[tuple[float, float]]:
    """Return what `one(block, first, last)` makes of each block, a thread each; `bounds` holds the
    blocks' first indices and the end of the last."""
    blocks = range(len(bounds) - 1)
    if len(blocks) == 1:
        return [one(0, bounds[0], bounds[1])]
    with ThreadPoolExecutor(len(blocks)) as pool:
        return list(pool.map(one, blocks, bounds[:-1], bounds[1:]))


def _shares(log_item_prior: Reals) -> Reals:
    """Return an item prior as a vote split among the labels, (items, K)."""
    if not len(log_item_prior):
        return log_item_prior
    witness: Reals = np.exp(log_item_prior - log_item_prior.max(axis=1, keepdims=True))
    witness /= witness.sum(axis=1, keepdims=True)
    return witness


def _narrowest(largest: int) -> npt.DTypeLike:
    return np.int32 if largest <= np.iinfo(np.int32).max else np.int64
