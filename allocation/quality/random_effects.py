"""Truth inference for numbers: workers with bias and spread, items of unequal difficulty.

Worker j answers item i

    x_ij = t_i + b_j + e_ij,    e_ij ~ N(0, 1 / (p_j k_i l_ij)),

with truth t_i (nothing known before), bias b_j ~ N(0, v), worker precision p_j ~ Gamma(a, a s)
about the crowd's variance s, item ease k_i ~ Gamma(d, d), and l_ij ~ Gamma(f / 2, f / 2), which
gives single answers the tails of Student's t with f degrees of freedom; v and d are learned. Fitted
by mean-field variational Bayes: no update lowers the evidence bound (C. M. Bishop, Pattern
Recognition and Machine Learning, 2006, chapter 10). V. C. Raykar et al., Learning from crowds,
JMLR 11, 2010, section 5, is the model without bias, difficulty and tails. A bias that all workers
share cannot be seen: biases are taken about the crowd's mean.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import digamma, gammaln
from scipy.stats import t as student

from allocation.quality.averages import deviation_interval, middle
from allocation.quality.numeric import CONFIDENCE, Numbers, NumericFit, pooled_variance
from allocation.quality.votes import Codes, Floats

WORKER_SHAPE = 2.0
"""Four answers of average spread are taken to be known of every worker."""

EASE_SHAPE, EASE_SHAPE_MIN, EASE_SHAPE_MAX = 2.0, 1.0, 20.0
"""Half the answers of average difficulty taken to be known of an item: at first, and its bounds."""

BIAS_STRENGTH, BIAS_SHARE = 1.0, 0.1
"""One worker is taken to be known, whose squared bias is a tenth of the crowd's variance."""

WILD = 10.0
"""An answer this many of the crowd's deviations from the median of its item is no measurement."""

TAIL_SHAPE = 10.0
"""Half the degrees of freedom of an answer; heavier tails cost accuracy on recorded crowds."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Gamma:
    """Gamma distributions by shape and rate, with the prior they grew from."""

    shape: Floats
    rate: Floats
    prior_shape: float
    prior_rate: float

    @classmethod
    def prior(cls, size: int, shape: float, rate: float) -> Self:
        """Return as many of one prior, nothing having been seen."""
        return cls(
            shape=np.full(size, shape),
            rate=np.full(size, rate),
            prior_shape=shape,
            prior_rate=rate,
        )

    @property
    def mean(self) -> Floats:
        return self.shape / self.rate

    @property
    def mean_log(self) -> Floats:
        logs: Floats = digamma(self.shape) - np.log(self.rate)
        return logs

    def grown(self, count: Floats | Codes, squares: Floats) -> Self:
        """Return the posterior after `count` residuals with this sum of squares."""
        return replace(
            self, shape=self.prior_shape + count / 2.0, rate=self.prior_rate + squares / 2.0
        )

    def reshaped(self) -> Self:
        """Return the same under the prior with mean 1 that fits best, its shape within bounds."""
        told = float((self.mean_log - self.mean).mean())

        def slope(log_shape: float) -> float:
            return log_shape + 1.0 - float(digamma(np.exp(log_shape))) + told

        low, high = np.log(EASE_SHAPE_MIN), np.log(EASE_SHAPE_MAX)
        if slope(low) <= 0.0 or slope(high) >= 0.0:
            shape = EASE_SHAPE_MIN if slope(low) <= 0.0 else EASE_SHAPE_MAX
        else:
            shape = float(np.exp(brentq(slope, low, high)))
        return replace(self, prior_shape=shape, prior_rate=shape)

    def bound(self) -> float:
        """Return minus the divergence from the prior, summed."""
        shape, rate = self.prior_shape, self.prior_rate
        prior = shape * np.log(rate) - gammaln(shape)
        gain = prior + (shape - self.shape) * self.mean_log - (rate - self.rate) * self.mean
        return float((gain - self.shape * np.log(self.rate) + gammaln(self.shape)).sum())


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _State:
    """What is believed: means and variances of truth and bias, and the factors of precision."""

    truth: Floats
    truth_variance: Floats
    bias: Floats
    bias_variance: Floats
    bias_spread: float
    precision: _Gamma
    ease: _Gamma
    tail: _Gamma


def fit(numbers: Numbers, *, iterations_max: int = 500, tolerance: float = 1e-7) -> NumericFit:
    """Fit item truths with intervals, and the bias and spread of every worker.

    Answers further than `WILD` from their median, a minority of their item, are set aside first.
    Ends when the evidence bound gains less than `tolerance` an answer. The result moves and scales
    with the unit of the answers. Defined throughout: an item without answers is unknown; a worker
    without answers has what the priors say; where all answers to each item agree, they are the
    truth, with error 0; and where no item has two answers, the spread of all answers stands in for
    the workers' error.
    """
    start = middle(numbers, np.ones(numbers.n_workers))
    variance = pooled_variance(numbers, start)
    if variance == 0.0:
        return _agreed(numbers, start)
    wild = _wild(numbers, start, variance)
    used = numbers.only(~wild)
    state = _first(used, start, variance)
    history: list[float] = []
    for _ in range(max(iterations_max, 1)):
        state = _step(used, state, variance)
        history.append(_bound(used, state, variance))
        if len(history) > 1 and history[-1] - history[-2] < tolerance * len(used):
            break
    return _result(used, state, wild, tuple(history))


def _wild(numbers: Numbers, start: Floats, variance: float) -> npt.NDArray[np.bool_]:
    """Return which answers are set aside, (answers,): never half of an item's or more."""
    far = np.abs(numbers.values - start[numbers.items]) > WILD * np.sqrt(variance)
    share = numbers.per_item(far.astype(np.float64)) / np.maximum(numbers.answers_per_item(), 1)
    wild: npt.NDArray[np.bool_] = far & (share < 0.5)[numbers.items]
    return wild


def _first(numbers: Numbers, start: Floats, variance: float) -> _State:
    items, workers = np.zeros(numbers.n_items), np.zeros(numbers.n_workers)
    return _State(
        truth=np.nan_to_num(start),
        truth_variance=items,
        bias=workers,
        bias_variance=workers,
        bias_spread=BIAS_SHARE * variance,
        precision=_Gamma.prior(numbers.n_workers, WORKER_SHAPE, WORKER_SHAPE * variance),
        ease=_Gamma.prior(numbers.n_items, EASE_SHAPE, EASE_SHAPE),
        tail=_Gamma.prior(len(numbers), TAIL_SHAPE, TAIL_SHAPE),
    )


def _step(numbers: Numbers, state: _State, variance: float) -> _State:
    """Return the state after one update of everything, each given the newest of the others.

    Precisions come first: at the start the truths are medians, which no wild answer has moved.
    """
    return _with_bias(numbers, _with_truth(numbers, _with_precision(numbers, state)), variance)


def _with_precision(numbers: Numbers, state: _State) -> _State:
    squares = _squares(numbers, state)
    worker, item = state.precision.mean[numbers.workers], state.ease.mean[numbers.items]
    tail = state.tail.grown(np.ones(len(numbers)), worker * item * squares)
    squares *= tail.mean
    precision = state.precision.grown(
        numbers.answers_per_worker(), numbers.per_worker(item * squares)
    )
    worker = precision.mean[numbers.workers]
    ease = state.ease.grown(numbers.answers_per_item(), numbers.per_item(worker * squares))
    return replace(state, precision=precision, ease=ease.reshaped(), tail=tail)


def _with_truth(numbers: Numbers, state: _State) -> _State:
    weight = _weight(numbers, state)
    total = numbers.per_item(weight)
    known = total > 0.0
    total = np.where(known, total, 1.0)
    mean = numbers.per_item(weight * (numbers.values - state.bias[numbers.workers])) / total
    return replace(state, truth=mean, truth_variance=np.where(known, 1.0 / total, 0.0))


def _with_bias(numbers: Numbers, state: _State, variance: float) -> _State:
    """Return the state with new biases, moved with the truths so that their mean is 0."""
    weight = _weight(numbers, state)
    total = numbers.per_worker(weight) + 1.0 / state.bias_spread
    bias = numbers.per_worker(weight * (numbers.values - state.truth[numbers.items])) / total
    shared = bias.mean()
    bias -= shared
    squares = float((bias**2 + 1.0 / total).sum()) + BIAS_STRENGTH * BIAS_SHARE * variance
    return replace(
        state,
        truth=state.truth + shared,
        bias=bias,
        bias_variance=1.0 / total,
        bias_spread=squares / (numbers.n_workers + BIAS_STRENGTH),
    )


def _weight(numbers: Numbers, state: _State) -> Floats:
    """Return the expected precision of each answer, (answers,)."""
    return state.precision.mean[numbers.workers] * state.ease.mean[numbers.items] * state.tail.mean


def _squares(numbers: Numbers, state: _State) -> Floats:
    residual = numbers.values - state.truth[numbers.items] - state.bias[numbers.workers]
    variance = state.truth_variance[numbers.items] + state.bias_variance[numbers.workers]
    squares: Floats = residual**2 + variance
    return squares


def _bound(numbers: Numbers, state: _State, variance: float) -> float:
    """Return the evidence bound, up to a constant."""
    logs = state.precision.mean_log[numbers.workers] + state.ease.mean_log[numbers.items]
    answers = logs + state.tail.mean_log - _weight(numbers, state) * _squares(numbers, state)
    answered = state.truth_variance > 0.0
    spread = state.bias_spread
    bias = np.log(state.bias_variance / spread) - (state.bias**2 + state.bias_variance) / spread
    known = BIAS_STRENGTH * (np.log(spread) + BIAS_SHARE * variance / spread)
    normal = float(
        answers.sum() + np.log(state.truth_variance[answered]).sum() + bias.sum() - known
    )
    return normal / 2.0 + state.precision.bound() + state.ease.bound() + state.tail.bound()


def _result(
    numbers: Numbers, state: _State, wild: npt.NDArray[np.bool_], history: tuple[float, ...]
) -> NumericFit:
    """Return the fit; the error of a truth includes that of the biases behind it."""
    weight = _weight(numbers, state)
    total = numbers.per_item(weight)
    known = total > 0.0
    share = weight / np.where(known, total, 1.0)[numbers.items]
    carried = numbers.per_item(share**2 * state.bias_variance[numbers.workers])
    error = np.where(known, np.sqrt(state.truth_variance + carried), np.inf)
    width = student.ppf((1.0 + CONFIDENCE) / 2.0, 2.0 * state.ease.shape - 1.0) * error
    spread = TAIL_SHAPE / (TAIL_SHAPE - 1.0) / state.precision.mean
    low, high = deviation_interval(state.precision.shape, spread)
    return NumericFit(
        estimate=np.where(known, state.truth, np.nan),
        standard_error=error,
        lower=state.truth - width,
        upper=state.truth + width,
        bias=state.bias,
        bias_error=np.sqrt(state.bias_variance),
        deviation=np.sqrt(spread),
        deviation_lower=low,
        deviation_upper=high,
        set_aside=wild,
        iterations=len(history),
        objective=history,
    )


def _agreed(numbers: Numbers, truth: Floats) -> NumericFit:
    unknown = np.isnan(truth)
    error, known = np.where(unknown, np.inf, 0.0), np.nan_to_num(truth)
    nothing = np.zeros(numbers.n_workers)
    return NumericFit(
        estimate=truth,
        standard_error=error,
        lower=known - error,
        upper=known + error,
        bias=nothing,
        bias_error=nothing,
        deviation=nothing,
        deviation_lower=nothing,
        deviation_upper=nothing,
        set_aside=np.zeros(len(numbers), dtype=np.bool_),
        iterations=0,
        objective=(),
    )
