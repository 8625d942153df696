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

from allocation.quality.elementary import exponential, logarithm
from allocation.quality.prefetch import prefetch
from allocation.quality.votes import Floats

Reals = npt.NDArray[np.floating[Any]]
"""Of 64 bits, or of 32 where memory matters more than the eighth digit."""

Indices = npt.NDArray[np.signedinteger[Any]]
Span = tuple[int, int]

FLOOR = 1e-10
"""The smallest probability, and under maximum likelihood the smallest count, there is."""

PRODUCT_MAX = 1e200

ITEMS_AT_ONCE = 128
"""Items that a sweep takes through its three loops together; their numbers fit the first cache."""

NEAR_BYTES_MAX = 2**18
"""A table up to this size stays in a core's own cache, beside another."""

AHEAD = 16
"""How many answers before it is needed a row of a larger table is asked for."""

Sweep = Callable[..., tuple[float, float]]

_REORDER = {"contract", "reassoc", "arcp", "nsz"}
_compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
_inlined = njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER, forceinline=True)


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


@_inlined
def count(
    cells: Indices,
    ends: Indices,
    span: Span,
    n_labels: int,
    ahead: int,
    posterior: Reals,
    counts: Reals,
    class_mass: Floats,
    known_min: int,
) -> None:
    """Add the answers under `posterior` (items, K) to `counts` (cells, K - 1), and each item of
    at least `known_min` answers to `class_mass` (K,). Rows are asked for `ahead` answers before,
    unless that is 0."""
    last = len(cells) - 1
    for item in range(span[0], span[1]):
        begin, end = ends[item - 1] if item else 0, ends[item]
        believed = posterior[item]
        for answer in range(begin, end):
            if ahead:
                prefetch(counts, cells[min(answer + ahead, last)])
            row = counts[cells[answer]]
            for other in range(n_labels - 1):
                row[other] += believed[other + 1]
        if end - begin >= known_min:
            for truth in range(n_labels):
                class_mass[truth] += believed[truth]


@_inlined
def _log_joint(
    cells: Indices,
    ends: Indices,
    span: Span,
    n_labels: int,
    ahead: int,
    odds: Reals,
    log_class_prior: Reals,
    log_item_prior: Reals,
    joint: Reals,
) -> float:
    """Fill `joint` (span, K) with log P(truth, answers of the item), less that of the likeliest.

    Returns the sum of what is taken off, save the answers' log probabilities under the first truth.
    """
    taken_off = 0.0
    last = len(cells) - 1
    for item in range(span[0], span[1]):
        row = joint[item - span[0]]
        row[:] = log_class_prior
        if len(log_item_prior):
            for truth in range(n_labels):
                row[truth] += log_item_prior[item, truth]
        for answer in range(ends[item - 1] if item else 0, ends[item]):
            if ahead:
                prefetch(odds, cells[min(answer + ahead, last)])
            said = odds[cells[answer]]
            for other in range(n_labels - 1):
                row[other + 1] += said[other]
        top = row[0]
        for truth in range(1, n_labels):
            top = max(top, row[truth])
        for truth in range(n_labels):
            row[truth] -= top
        taken_off += top
    return taken_off


@_inlined
def _softmax(joint: Reals, n_labels: int, posterior: Reals) -> tuple[float, float]:
    """Fill `posterior` (items, K) with the softmax of the rows of `joint`, the largest of each 0.

    Returns the logarithms of the rows' sums of exponentials, summed, and the entropy; in nats.
    """
    exponents, weights = joint.ravel(), posterior.ravel()
    for each in range(len(weights)):
        weights[each] = exponential(exponents[each])
    log_totals, means, product = 0.0, 0.0, 1.0
    for item in range(len(posterior)):
        row = posterior[item]
        total = mean = row[0] * 0
        for truth in range(n_labels):
            total += row[truth]
            mean += row[truth] * joint[item, truth]
        scale = 1 / total
        for truth in range(n_labels):
            row[truth] *= scale
        means += mean * scale
        # One logarithm for many items: each total lies in [1, K].
        product *= total
        if product > PRODUCT_MAX:
            log_totals += np.log(product)
            product = 1.0
    log_totals += np.log(product)
    return log_totals, log_totals - means


@cache
def sweep_of(n_labels: int, ahead: int) -> Sweep:
    """Return the E step and the counts of the M step in one pass, compiled for K labels.

    A few items at a time are added up, normalised and counted: each of these loops alone is simple
    enough to be vectorised, or to fetch many rows of a table at once, and what it leaves for the
    next stays in the processor's cache. K is a constant of the compiled loops, as they are inlined,
    which makes them half as fast again; so is `ahead`, how many answers before it is needed a row
    is asked for, 0 for tables that are near anyway. The function returned is

        sweep(cells, ends, span, odds, log_class_prior, log_item_prior,
              posterior, counts, class_mass, known_min)

    `odds` (cells, K - 1) holds log P(answer | truth) less that of the first truth, and
    `log_item_prior` (items or 0, K) joins the class prior (K,). It fills `posterior`, adds as
    `count` does, and returns the log evidence of the items, save the answers' log probabilities
    under the first truth, and the entropy of the posteriors; both in nats.
    """

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
        joint = np.empty((ITEMS_AT_ONCE, n_labels), dtype=posterior.dtype)
        class_prior = log_class_prior.astype(posterior.dtype)
        evidence = entropy = 0.0
        for first in range(span[0], span[1], ITEMS_AT_ONCE):
            some = first, min(first + ITEMS_AT_ONCE, span[1])
            evidence += _log_joint(
                cells, ends, some, n_labels, ahead, odds, class_prior, log_item_prior, joint
            )
            log_totals, uncertainty = _softmax(joint, n_labels, posterior[some[0] : some[1]])
            evidence += log_totals
            entropy += uncertainty
            count(cells, ends, some, n_labels, ahead, posterior, counts, class_mass, known_min)
        return evidence, entropy

    return sweep


@cache
def confusions_of(n_labels: int) -> Callable[..., tuple[float, float]]:
    """Return the M step for a span of workers, compiled for K labels: from counts to log odds.

        confusions(counts, answers, span, pseudo_counts, odds, base, given)

    `counts` (blocks, cells, K - 1) is summed over blocks, `answers` (cells,) is how often each
    answer was given in all, `pseudo_counts` (K, K) as [truth, answer] is added to every worker's;
    where it is all zero the probabilities are the most likely ones instead, floored. Fills the
    span's part of `odds` (cells, K - 1) and of `base` (cells,), log P(answer | first truth), and
    adds to `given` (K,) the expected answers to items of each truth. Returns the log density of the
    pseudo-counts and the expected log probability of the answers; both in nats.
    """
    k = n_labels

    @_compiled
    def confusions(
        counts: Reals,
        answers: Floats,
        span: Span,
        pseudo_counts: Floats,
        odds: Reals,
        base: Floats,
        given: Floats,
    ) -> tuple[float, float]:
        least = FLOOR if pseudo_counts.sum() == 0.0 else 0.0
        before = np.ascontiguousarray(pseudo_counts.T)
        said, log_share, total = np.empty((k, k)), np.empty((k, k)), np.empty(k)
        density = expected = 0.0
        for worker in range(span[0], span[1]):
            cells = worker * k, (worker + 1) * k
            _sum_up(counts, answers, cells, k, said)
            _shares(said, before, answers[cells[0] : cells[1]], least, k, total, log_share)
            for label in range(k):
                cell = cells[0] + label
                base[cell] = log_share[label, 0]
                for other in range(k - 1):
                    odds[cell, other] = log_share[label, other + 1] - log_share[label, 0]
                for truth in range(k):
                    given[truth] += said[label, truth]
                    density += before[label, truth] * log_share[label, truth]
                    expected += said[label, truth] * log_share[label, truth]
        return density, expected

    return confusions


@_inlined
def _sum_up(counts: Reals, answers: Floats, cells: Span, n_labels: int, said: Floats) -> None:
    """Fill `said` (K, K) with one worker's expected answers as [answer, truth].

    What rounding leaves over for the first truth counts as nothing.
    """
    resolution = 8.0 * np.finfo(counts.dtype).eps
    for label in range(n_labels):
        cell, row = cells[0] + label, said[label]
        row[:] = 0.0
        for block in range(len(counts)):
            for other in range(n_labels - 1):
                row[other + 1] += counts[block, cell, other]
        left = answers[cell]
        for other in range(n_labels - 1):
            left -= row[other + 1]
        row[0] = left if left > resolution * answers[cell] else 0.0


@_inlined
def _shares(
    said: Floats,
    before: Floats,
    answers: Floats,
    least: float,
    n_labels: int,
    total: Floats,
    log_share: Floats,
) -> None:
    """Fill `log_share` (K, K) with log P(answer | truth) as [answer, truth], from what was said and
    what counts as said before; answers that were ever given count `least` at least."""
    total[:] = 0.0
    for label in range(n_labels):
        seen_min = least if answers[label] > 0.0 else 0.0
        for truth in range(n_labels):
            seen = max(said[label, truth] + before[label, truth], seen_min)
            log_share[label, truth] = seen
            total[truth] += seen
    for label in range(n_labels):
        for truth in range(n_labels):
            share = log_share[label, truth] / total[truth] if total[truth] > 0.0 else 1.0 / n_labels
            log_share[label, truth] = share if share > 0.0 else FLOOR
    each_share = log_share.ravel()
    for each in range(len(each_share)):
        each_share[each] = logarithm(each_share[each])
