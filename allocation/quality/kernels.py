"""The inner loops of Dawid-Skene, compiled: here truth inference spends its time.

A *cell* is one worker giving one label: `worker * K + label`. Tables over cells keep K - 1 columns,
for all truths but the first: log odds of the answer against the first truth, or expected answers,
of which the first truth gets what is left of all. Passes go over a span of items, from the first to
before the second number, and release the interpreter's lock, so that threads can share the items
out; what passes return and add to sums up over disjoint spans.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from allocation.quality.votes import Floats

Reals = npt.NDArray[np.floating[Any]]
"""Of 64 bits, or of 32 where memory matters more than the eighth digit."""

Indices = npt.NDArray[np.signedinteger[Any]]
Span = tuple[int, int]

FLOOR = 1e-10
"""The smallest probability, and under maximum likelihood the smallest count, there is."""

PRODUCT_MAX = 1e200

Sweep = Callable[..., tuple[float, float]]
Spread = Callable[[Reals, Reals], tuple[Any, Any, Any]]

_compiled = njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "arcp", "nsz"})


@_compiled
def group(
    items: Indices, workers: Indices, labels: Indices, n_labels: int, cells: Indices, ends: Indices
) -> None:
    """Fill `cells` with the answers' cells in the order of their items, and `ends` with where the
    answers of each item end. Answers to one item keep their order."""
    ends[:] = 0
    for answer in range(len(items)):
        if items[answer] + 1 < len(ends):
            ends[items[answer] + 1] += 1
    for item in range(1, len(ends)):
        ends[item] += ends[item - 1]
    # Now `ends` holds the beginnings; each moves to its end as its answers are placed.
    for answer in range(len(items)):
        cells[ends[items[answer]]] = workers[answer] * n_labels + labels[answer]
        ends[items[answer]] += 1


@_compiled
def tally(codes: Indices, totals: Floats) -> None:
    """Add to `totals` how often each code occurs."""
    for each in codes:
        totals[each] += 1.0


@_compiled
def share(cells: Indices, ends: Indices, span: Span, witness: Reals, posterior: Reals) -> None:
    """Fill `posterior` (items, K) with vote shares, `witness` (items or 0, K) counting as votes."""
    k = posterior.shape[1]
    for item in range(span[0], span[1]):
        row = posterior[item]
        for truth in range(k):
            row[truth] = witness[item, truth] if len(witness) else 0.0
        for answer in range(ends[item - 1] if item else 0, ends[item]):
            row[cells[answer] % k] += 1.0
        total = row.sum()
        for truth in range(k):
            row[truth] = row[truth] / total if total > 0.0 else 1.0 / k


@_compiled
def count(
    cells: Indices,
    ends: Indices,
    span: Span,
    posterior: Reals,
    counts: Reals,
    class_mass: Floats,
    known_min: int,
) -> None:
    """Add the answers under `posterior` (items, K) to `counts` (cells, K - 1), and each item of
    at least `known_min` answers to `class_mass` (K,)."""
    k = posterior.shape[1]
    for item in range(span[0], span[1]):
        begin, end = ends[item - 1] if item else 0, ends[item]
        for answer in range(begin, end):
            row = counts[cells[answer]]
            for truth in range(k - 1):
                row[truth] += posterior[item, truth + 1]
        if end - begin >= known_min:
            for truth in range(k):
                class_mass[truth] += posterior[item, truth]


@cache
def _spread_of(others: int) -> Spread:
    @_compiled
    def spread(lean: Reals, row: Reals) -> tuple[Any, Any, Any]:
        """Fill `row` (K,) with the softmax of (0, *lean), and `lean` with all of it but the first.

        Returns the largest of these numbers, the sum of their exponentials over that of the
        largest, and their mean.
        """
        top = mean = lean.dtype.type(0)
        for truth in range(others):
            top = max(top, lean[truth])
        total = np.exp(-top)
        row[0] = total
        for truth in range(others):
            weight = np.exp(lean[truth] - top)
            total += weight
            mean += weight * lean[truth]
            row[truth + 1] = weight
        scale = 1 / total
        row[0] *= scale
        for truth in range(others):
            lean[truth] = row[truth + 1] * scale
            row[truth + 1] = lean[truth]
        return top, total, mean * scale

    return spread


@cache
def sweep_of(n_labels: int) -> Sweep:
    """Return the E step and the counts of the M step in one pass, compiled for K labels.

    An item's answers are counted while they are still in the processor's cache. K is a constant
    of the compiled loops, which makes them half as fast again. The function returned is

        sweep(cells, ends, span, odds, log_class_prior, log_item_prior,
              posterior, counts, class_mass, known_min)

    `odds` (cells, K - 1) holds log P(answer | truth) less that of the first truth, and
    `log_item_prior` (items or 0, K) joins the class prior (K,). It fills `posterior`, adds as
    `count` does, and returns the log evidence of the items, save the answers' log probabilities
    under the first truth, and the entropy of the posteriors; both in nats.
    """
    others = n_labels - 1
    spread = _spread_of(others)

    @_compiled
    def sweep(
        cells: Indices,
        ends: Indices,
        span: Span,
        odds: Reals,
        log_class_prior: Floats,
        log_item_prior: Reals,
        posterior: Reals,
        counts: Reals,
        class_mass: Floats,
        known_min: int,
    ) -> tuple[float, float]:
        class_lean = (log_class_prior[1:] - log_class_prior[0]).astype(odds.dtype)
        lean = np.empty(others, dtype=odds.dtype)
        prior, log_totals, means, product = log_class_prior[0] * (span[1] - span[0]), 0.0, 0.0, 1.0
        for item in range(span[0], span[1]):
            begin, end = ends[item - 1] if item else 0, ends[item]
            lean[:] = class_lean
            if len(log_item_prior):
                prior += log_item_prior[item, 0]
                lean += log_item_prior[item, 1:] - log_item_prior[item, 0]
            for answer in range(begin, end):
                for truth in range(others):
                    lean[truth] += odds[cells[answer], truth]
            top, total, mean = spread(lean, posterior[item])
            log_totals += top
            means += mean
            # One logarithm for many items: each total lies in [1, K].
            product *= total
            if product > PRODUCT_MAX:
                log_totals += np.log(product)
                product = 1.0
            for answer in range(begin, end):
                for truth in range(others):
                    counts[cells[answer], truth] += lean[truth]
            if end - begin >= known_min:
                class_mass += posterior[item]
        log_totals += np.log(product)
        return prior + log_totals, log_totals - means

    return sweep


@_compiled
def confusions(
    counts: Reals,
    answers: Floats,
    pseudo_counts: Floats,
    odds: Reals,
    base: Floats,
    given: Floats,
) -> tuple[float, float]:
    """Do the M step: turn counts into log odds.

    `counts` (blocks, cells, K - 1) is summed over blocks, `answers` (cells,) is how often each
    answer was given in all, `pseudo_counts` (K, K) as [truth, answer] is added to every worker's;
    where it is all zero the probabilities are the most likely ones instead, floored. Fills `odds`
    (cells, K - 1) and `base` (cells,), log P(answer | first truth), and `given` (K,), the expected
    answers to items of each truth. Returns the log density of the pseudo-counts and the expected
    log probability of the answers; both in nats.
    """
    k = counts.shape[2] + 1
    likeliest = pseudo_counts.sum() == 0.0
    said = np.empty((k, k))
    given[:] = 0.0
    density = expected = 0.0
    for worker in range(len(answers) // k):
        _sum_up(counts, answers, worker, said)
        for truth in range(k):
            total = 0.0
            for label in range(k):
                seen = said[truth, label] + pseudo_counts[truth, label]
                if likeliest and answers[worker * k + label] > 0.0:
                    seen = max(seen, FLOOR)
                total += seen
            for label in range(k):
                cell = worker * k + label
                seen = said[truth, label] + pseudo_counts[truth, label]
                if likeliest and answers[cell] > 0.0:
                    seen = max(seen, FLOOR)
                share = seen / total if total > 0.0 else 1.0 / k
                log_share = np.log(share if share > 0.0 else FLOOR)
                density += pseudo_counts[truth, label] * log_share
                expected += said[truth, label] * log_share
                given[truth] += said[truth, label]
                if truth == 0:
                    base[cell] = log_share
                else:
                    odds[cell, truth - 1] = log_share - base[cell]
    return density, expected


@_compiled
def _sum_up(counts: Reals, answers: Floats, worker: int, said: Floats) -> None:
    """Fill `said` (K, K) with one worker's expected answers as [truth, answer].

    What rounding leaves over for the first truth counts as nothing.
    """
    blocks, _, others = counts.shape
    resolution = 8.0 * np.finfo(counts.dtype).eps
    for label in range(others + 1):
        cell = worker * (others + 1) + label
        left = answers[cell]
        for truth in range(others):
            expected = 0.0
            for block in range(blocks):
                expected += counts[block, cell, truth]
            said[truth + 1, label] = expected
            left -= expected
        said[0, label] = left if left > resolution * answers[cell] else 0.0
