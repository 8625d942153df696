"""Dawid-Skene one answer at a time: an answer moves its item's posterior and its workers' counts.

Incremental EM (R. M. Neal, G. E. Hinton: A view of the EM algorithm that justifies incremental,
sparse, and other variants, 1998). An answer is counted under what is then believed of its item, and
the item's earlier answers are counted anew; other items wait for the next sweep over all answers,
which closes the gap to the fit of all answers at once.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from allocation.quality.kernels import Indices, Reals
from allocation.quality.votes import Floats

_NONE = -1
_ANSWERS_AT_FIRST = 1_024
_PRODUCT_MIN = 1e-100

Take = Callable[..., None]


class OnlineTruth:
    """What is believed of `n_items` items after every answer so far; K labels.

    `posterior` (items, K) is of each item by the counts at its last answer, the class prior for an
    item without answers. `pseudo_counts` (K, K) as [truth, answer], all positive, count for every
    worker, as if given before. Workers may be added at any time. An answer costs 8 bytes, a worker
    8 (K + 1) K.
    """

    def __init__(self, *, n_items: int, n_workers: int, pseudo_counts: Floats) -> None:
        k = len(pseudo_counts)
        # A worker's K rows of counts, [answer, truth], and below them their sums: one cache line.
        self._unknown = np.vstack([pseudo_counts.T, pseudo_counts.sum(axis=1)])
        self._counts = np.empty((0, k))
        self._class_mass = np.ones(k)
        self._newest = np.full(n_items, _NONE, dtype=np.int32)
        self._earlier = np.empty(_ANSWERS_AT_FIRST, dtype=np.int32)
        self._cells = np.empty(_ANSWERS_AT_FIRST, dtype=np.int32)
        self._size = 0
        self.posterior: Floats = np.full((n_items, k), 1.0 / k)
        self.add_workers(n_workers)

    def __len__(self) -> int:
        return self._size

    def add_workers(self, count: int) -> None:
        """Make room for so many workers more, of whom nothing is known."""
        self._counts = np.concatenate([self._counts, np.tile(self._unknown, (count, 1))])

    def take(self, items: Indices, workers: Indices, labels: Indices) -> None:
        """Take answers in their order; codes are dense, as those of `Votes`."""
        self._reserve(self._size + len(items))
        _take_of(self.posterior.shape[1])(
            (items, workers, labels),
            self._size,
            self._newest,
            self._earlier,
            self._cells,
            self._counts,
            self._class_mass,
            self.posterior,
        )
        self._size += len(items)

    def log_confusion(self) -> Floats:
        """Return log P(answer | truth) as [worker, truth, answer], (workers, K, K)."""
        rows, k = self._unknown.shape
        by_worker = self._counts.reshape(-1, rows, k)
        by_answer = by_worker[:, :k] / by_worker[:, k:]
        log_confusion: Floats = np.log(by_answer)
        return log_confusion.transpose(0, 2, 1)

    def class_prior(self) -> Floats:
        """Return the share of each label among the items with answers, (K,)."""
        share: Floats = self._class_mass / self._class_mass.sum()
        return share

    def _reserve(self, answers: int) -> None:
        if answers > len(self._cells):
            extra = max(answers, 2 * len(self._cells)) - len(self._cells)
            room = np.empty(extra, dtype=np.int32)
            self._cells = np.concatenate([self._cells, room])
            self._earlier = np.concatenate([self._earlier, room])


@cache
def _take_of(n_labels: int) -> Take:
    """Return the loop of `take`, compiled for K labels."""
    k = n_labels

    @njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "arcp", "nsz"})
    def believe(
        answer: int,
        earlier: Indices,
        cells: Indices,
        counts: Floats,
        belief: Floats,
    ) -> None:
        """Multiply `belief` (K,) by the likelihood of an answer and all earlier ones; normalise."""
        while answer != _NONE:
            cell = cells[answer]
            total = cell - cell % (k + 1) + k
            largest = 0.0
            for truth in range(k):
                belief[truth] *= counts[cell, truth] / counts[total, truth]
                largest = max(largest, belief[truth])
            if largest < _PRODUCT_MIN:
                belief /= largest
            answer = earlier[answer]
        belief /= belief.sum()

    @njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "arcp", "nsz"})
    def take(
        answers: tuple[Indices, Indices, Indices],
        size: int,
        newest: Indices,
        earlier: Indices,
        cells: Indices,
        counts: Floats,
        class_mass: Floats,
        posterior: Reals,
    ) -> None:
        items, workers, labels = answers
        belief, change = np.empty(k), np.empty(k)
        for index in range(len(items)):
            item, answer = items[index], size + index
            total = workers[index] * (k + 1) + k
            cells[answer] = total - k + labels[index]
            earlier[answer] = newest[item]
            newest[item] = answer
            belief[:] = class_mass
            believe(answer, earlier, cells, counts, belief)
            # The newest answer was not counted before, nor the item if it is its first.
            known = 1.0 if earlier[answer] != _NONE else 0.0
            for truth in range(k):
                counts[cells[answer], truth] += belief[truth]
                counts[total, truth] += belief[truth]
                change[truth] = belief[truth] - posterior[item, truth]
                class_mass[truth] += belief[truth] - known * posterior[item, truth]
                posterior[item, truth] = belief[truth]
            before = earlier[answer]
            while before != _NONE:
                cell = cells[before]
                total = cell - cell % (k + 1) + k
                for truth in range(k):
                    counts[cell, truth] += change[truth]
                    counts[total, truth] += change[truth]
                before = earlier[before]

    return take
