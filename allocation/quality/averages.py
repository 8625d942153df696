"""Means and medians of numbers, plain and weighted: the yardsticks of every other method.

Weights are what a worker's answers are worth by how close they come to the medians of their items,
as a vote weighs workers by their agreement with the majority (`opinion_pool.weighted_vote`).
"""

from statistics import NormalDist

import numpy as np
from scipy.special import gammaincinv

from allocation.quality.numeric import CONFIDENCE, Numbers, NumericFit, pooled_variance
from allocation.quality.votes import Floats

WORKER_STRENGTH = 4.0
"""Answers of average spread that every worker is taken to have given before."""

MEDIAN_VARIANCE = np.pi / 2.0
"""The variance of a median of normal answers by that of their mean, for many answers."""


def mean(numbers: Numbers) -> NumericFit:
    """Return the mean answer of each item; errors are those of one spread for the whole crowd."""
    return _described(numbers, centre(numbers), _equal(numbers), 1.0)


def median(numbers: Numbers) -> NumericFit:
    """Return the median answer of each item, half-way between two; errors as for `mean`."""
    return _described(numbers, middle(numbers, _equal(numbers)), _equal(numbers), MEDIAN_VARIANCE)


def weighted_mean(numbers: Numbers) -> NumericFit:
    """Return each item's mean, workers weighed by their precision about the medians."""
    weights = precision(numbers)
    return _described(numbers, centre(numbers, weights), weights, 1.0)


def weighted_median(numbers: Numbers) -> NumericFit:
    """Return each item's median, workers weighed by their precision about the medians."""
    weights = precision(numbers)
    return _described(numbers, middle(numbers, weights), weights, MEDIAN_VARIANCE)


def centre(numbers: Numbers, weights: Floats | None = None) -> Floats:
    """Return the mean of each item, (items,), under weights (workers,); NaN without answers."""
    share = np.ones(len(numbers)) if weights is None else weights[numbers.workers]
    with np.errstate(invalid="ignore"):
        found: Floats = numbers.per_item(share * numbers.values) / numbers.per_item(share)
    return found


def middle(numbers: Numbers, weights: Floats) -> Floats:
    """Return the weighted median of each item, (items,); NaN without answers.

    That is the value with at most half of the item's weight on either side; where two values are,
    the point half-way between them. Weights (workers,) are positive.
    """
    order = np.lexsort((numbers.values, numbers.items))
    items, values = numbers.items[order], numbers.values[order]
    weight = weights[numbers.workers[order]]
    found = np.full(numbers.n_items, np.nan)
    answered, start, count = np.unique(items, return_index=True, return_counts=True)
    running = np.cumsum(weight)
    before = np.repeat(running[start] - weight[start], count)
    total = np.repeat(running[start + count - 1], count) - before
    reached = (running - before) / total
    place = np.repeat(np.arange(len(start)), count)
    below = np.bincount(place, reached < 0.5 - 1e-9, len(start)).astype(np.int64)
    upto = np.bincount(place, reached <= 0.5 + 1e-9, len(start)).astype(np.int64)
    found[answered] = (values[start + below] + values[start + upto]) / 2.0
    return found


def precision(numbers: Numbers) -> Floats:
    """Return what each worker's answers are worth, (workers,): one by their variance.

    Variance is about the item medians, shrunk to the crowd's by `WORKER_STRENGTH` answers. Equal
    weights where all agree.
    """
    medians = middle(numbers, _equal(numbers))
    pooled = pooled_variance(numbers, medians)
    if pooled == 0.0:
        return _equal(numbers)
    squares = numbers.per_worker((numbers.values - medians[numbers.items]) ** 2)
    seen = numbers.answers_per_worker() + WORKER_STRENGTH
    return seen / (squares + WORKER_STRENGTH * pooled)


def _equal(numbers: Numbers) -> Floats:
    return np.ones(numbers.n_workers)


def _described(numbers: Numbers, estimate: Floats, weights: Floats, inflation: float) -> NumericFit:
    """Return a fit around estimates; `inflation` is their variance by that of a mean."""
    pooled = pooled_variance(numbers, estimate)
    residual = numbers.values - estimate[numbers.items]
    seen = numbers.answers_per_worker().astype(np.float64)
    bias = numbers.per_worker(residual) / (seen + WORKER_STRENGTH)
    squares = numbers.per_worker((residual - bias[numbers.workers]) ** 2)
    variance = (squares + WORKER_STRENGTH * pooled) / (seen + WORKER_STRENGTH)
    weight = numbers.per_item(weights[numbers.workers])
    worth = numbers.per_item((weights**2)[numbers.workers])
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(inflation * pooled * worth) / weight
    error = np.where(weight > 0.0, error, np.inf)
    width = NormalDist().inv_cdf((1.0 + CONFIDENCE) / 2.0) * error
    known = np.nan_to_num(estimate)
    low, high = deviation_interval((seen + WORKER_STRENGTH) / 2.0, variance)
    return NumericFit(
        estimate=estimate,
        standard_error=error,
        lower=known - width,
        upper=known + width,
        bias=bias,
        bias_error=np.sqrt(variance / (seen + WORKER_STRENGTH)),
        deviation=np.sqrt(variance),
        deviation_lower=low,
        deviation_upper=high,
        set_aside=np.zeros(len(numbers), dtype=np.bool_),
        iterations=0,
        objective=(),
    )


def deviation_interval(shape: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Return the ends of each worker's standard deviation, (workers,) twice.

    The precision has a gamma distribution of this shape and the mean 1 / `variance`.
    """
    tail = (1.0 - CONFIDENCE) / 2.0
    low = np.sqrt(variance * shape / gammaincinv(shape, 1.0 - tail))
    high = np.sqrt(variance * shape / gammaincinv(shape, tail))
    return low, high
