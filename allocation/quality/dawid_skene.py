"""Dawid-Skene truth inference: one confusion matrix a worker, fitted by EM over flat arrays.

A. P. Dawid, A. M. Skene: Maximum Likelihood Estimation of Observer Error-Rates Using the EM
Algorithm, J. R. Stat. Soc. C 28(1), 1979. K is the number of labels throughout.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from allocation.quality import kernels
from allocation.quality.kernels import FLOOR, Reals
from allocation.quality.passes import Counted, LocalPasses, Passes, Sheet, Tables, in_blocks
from allocation.quality.votes import Fit, Floats, Votes

Prior = Literal["none", "diagonal", "pooled"]
"""What is believed of a worker before any answer:

- `none`: nothing; maximum likelihood, with cells floored like crowd-kit's DawidSkene;
- `diagonal`: 4 right and 1 of each wrong answer to every class, as if seen before;
- `pooled`: 4 answers to every class, spread as the whole crowd answers it.
"""

DIAGONAL, OFF_DIAGONAL = 4.0, 1.0
POOLED_STRENGTH = 4.0
CLASS_STRENGTH = 1.0

NUMBERS_A_THREAD = 100_000
"""So many probabilities of the M step are worth the start of a thread."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Course:
    """How EM went: the tables of its last pass, and its objective after each."""

    tables: Tables
    history: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Maximum:
    tables: Tables
    log_density: float
    answer_evidence: float
    answers_per_truth: Floats
    expected: float


def fit(
    votes: Votes,
    *,
    prior: Prior = "none",
    log_item_prior: Floats | None = None,
    class_prior: Floats | None = None,
    init: Floats | None = None,
    iterations_max: int = 100,
    tolerance: float = 1e-5,
    threads: int = 1,
) -> Fit:
    """Fit labels, worker confusions and class prior to votes, with MAP under `prior`.

    `log_item_prior` (items, K) is one more witness of each item: its log likelihood of each
    label, up to a constant a row; a calibrated model's log probabilities enter here.
    `class_prior` (K,) fixes the class prior, None learns it; fix it to uniform where the item
    prior already holds the base rates. `init` (items, K) is a posterior to start from; the
    default is the vote shares, the item prior counting as one vote. EM ends when its objective
    gains less than `tolerance` an answer, or after `iterations_max`; the objective is
    `Fit.log_likelihood`, and for `none` crowd-kit's bound, so that both end alike.

    Everything degenerate is defined: an item without answers gets class prior times item prior,
    a worker without answers the prior's confusion (uniform for `none`), and without any answers
    nothing is iterated. Raises ValueError for arguments of a wrong shape.
    """
    _check_shapes(votes, log_item_prior, class_prior, init)
    passes = LocalPasses(Sheet.of(votes), log_item_prior=log_item_prior, init=init, threads=threads)
    course = iterate(
        passes,
        prior=prior,
        class_prior=class_prior,
        iterations_max=iterations_max if len(votes) else 1,
        tolerance=tolerance,
        threads=threads,
    )
    return Fit(
        posterior=passes.posterior.astype(np.float64, copy=False),
        log_confusion=course.tables.log_confusion(),
        class_prior=np.exp(course.tables.log_class_prior),
        iterations=len(course.history) if len(votes) else 0,
        log_likelihood=course.history,
    )


def iterate(
    passes: Passes,
    *,
    prior: Prior = "none",
    class_prior: Floats | None = None,
    iterations_max: int = 100,
    tolerance: float = 1e-5,
    threads: int = 1,
) -> Course:
    """Run EM over answers that lie anywhere; the arguments are those of `fit`.

    `threads` share the M step, which is done here. The posteriors of the last pass are what its
    tables say, and stay where the answers are.
    """
    answers_per_cell = passes.answers_per_cell
    answers = float(answers_per_cell.sum())
    following = _maximise(passes.begin(), answers_per_cell, prior, class_prior, threads)
    history: list[float] = []
    objective = -np.inf
    for _ in range(max(iterations_max, 1)):
        present = following
        counted = passes.sweep(present.tables)
        history.append(counted.log_evidence + present.answer_evidence + present.log_density)
        following = _maximise(counted, answers_per_cell, prior, class_prior, threads)
        before = objective
        objective = history[-1]
        if prior == "none":
            objective = _answer_bound(counted, following)
        if objective - before < tolerance * answers:
            break
    return Course(tables=present.tables, history=tuple(history))


def log_joint(
    votes: Votes,
    log_confusion: Floats,
    log_class_prior: Floats,
    log_item_prior: Floats | None = None,
) -> Floats:
    """Return log P(label, answers of the item) of each item and label, (items, K)."""
    cells = votes.workers.astype(np.int64) * votes.n_labels + votes.labels
    joint = np.empty((votes.n_labels, votes.n_items))
    for truth in range(votes.n_labels):
        table = np.ascontiguousarray(log_confusion[:, truth, :], dtype=np.float64).ravel()
        joint[truth] = np.bincount(votes.items, weights=table[cells], minlength=votes.n_items)
    joint += np.asarray(log_class_prior, dtype=np.float64)[:, None]
    if log_item_prior is not None:
        joint += log_item_prior.T
    return joint.T


def expected_counts(votes: Votes, posterior: Floats) -> Floats:
    """Return how often each worker is believed to have given each answer to each truth.

    Shape (workers, K, K) as [worker, truth, answer]. Counts of disjoint sets of votes add up.
    """
    k = votes.n_labels
    cells = votes.workers.astype(np.int64) * k + votes.labels
    counts = np.empty((votes.n_workers, k, k))
    for truth in range(k):
        believed = np.ascontiguousarray(posterior[:, truth])[votes.items]
        tally = np.bincount(cells, weights=believed, minlength=votes.n_workers * k)
        counts[:, truth, :] = tally.reshape(votes.n_workers, k)
    return counts


def m_step(counts: Floats, prior: Prior = "none") -> Floats:
    """Return log P(answer | truth) of each worker, (workers, K, K), from expected counts.

    For `none` the answers a worker has ever given are floored at 1e-10 a cell, then scaled to sum
    to 1, which is what crowd-kit does; answers never given get a probability of 1e-10.
    """
    workers, k, _ = counts.shape
    per_cell = np.ascontiguousarray(counts.transpose(0, 2, 1)).reshape(1, workers * k, k)
    counted = Counted(counts=per_cell[:, :, 1:], class_mass=np.ones(k))
    return _maximise(counted, per_cell[0].sum(axis=1), prior, None, 1).tables.log_confusion()


def pooled_confusion(counts: Floats) -> Floats:
    """Return log P(answer | truth) of the crowd as a whole, (K, K), from expected counts.

    Smoothed as a single worker is under the `diagonal` prior, so that no cell is impossible.
    """
    total = counts.sum(axis=0)
    return _normalised(total + _diagonal(total.shape[-1]))


def _maximise(
    counted: Counted,
    answers_per_cell: Floats,
    prior: Prior,
    class_prior: Floats | None,
    threads: int,
) -> _Maximum:
    log_class_prior, density = _class_prior(counted.class_mass, prior, class_prior)
    odds: Reals = np.empty(counted.counts.shape[1:], dtype=counted.counts.dtype)
    base, k = np.empty(len(odds)), len(log_class_prior)
    blocks = min(threads, 1 + len(odds) * k // NUMBERS_A_THREAD)
    given, confusions = np.zeros((blocks, k)), kernels.confusions_of(k)
    pseudo_counts = _pseudo_counts(counted, answers_per_cell, prior)

    def one(block: int, first: int, last: int) -> tuple[float, float]:
        return confusions(
            counted.counts,
            answers_per_cell,
            (first, last),
            pseudo_counts,
            odds,
            base,
            given[block],
        )

    workers = len(base) // k
    found = in_blocks(one, [workers * cut // blocks for cut in range(blocks + 1)])
    return _Maximum(
        tables=Tables(odds=odds, base=base, log_class_prior=log_class_prior),
        log_density=sum(each for each, _ in found) + density,
        answer_evidence=float(answers_per_cell @ base),
        answers_per_truth=given.sum(axis=0),
        expected=sum(each for _, each in found),
    )


def _answer_bound(counted: Counted, following: _Maximum) -> float:
    """Return crowd-kit's evidence bound, which counts the class prior once an answer.

    The true bound counts it once an item and never falls; this one may fall, and so ends EM early
    where answers are few for the parameters. Without priors that is the only regularisation there
    is, and worth several points of accuracy on sparse sets.
    """
    per_answer = float(following.answers_per_truth @ following.tables.log_class_prior)
    return following.expected + per_answer + counted.item_evidence + counted.entropy


def _class_prior(class_mass: Floats, prior: Prior, fixed: Floats | None) -> tuple[Floats, float]:
    """Return the log class prior (K,), and its log density where it is learned under a prior."""
    if fixed is not None:
        return np.log(np.maximum(fixed, FLOOR)), 0.0
    strength = 0.0 if prior == "none" else CLASS_STRENGTH
    tally = class_mass + strength
    total = float(tally.sum())
    share = tally / total if total > 0.0 else np.full(len(tally), 1.0 / len(tally))
    log_share: Floats = np.log(np.maximum(share, FLOOR))
    return log_share, strength * float(log_share.sum())


def _pseudo_counts(counted: Counted, answers_per_cell: Floats, prior: Prior) -> Floats:
    k = len(counted.class_mass)
    if prior == "none":
        return np.zeros((k, k))
    if prior == "diagonal":
        return _diagonal(k)
    total = np.empty((k, k))
    by_worker = (-1, k, k - 1) if k > 1 else (len(answers_per_cell), 1, 0)
    total[1:] = counted.counts.reshape(by_worker).sum(axis=0, dtype=np.float64).T
    total[0] = answers_per_cell.reshape(-1, k).sum(axis=0) - total[1:].sum(axis=0)
    return POOLED_STRENGTH * np.exp(pooled_confusion(np.maximum(total, 0.0)[None]))


def _diagonal(k: int) -> Floats:
    return np.full((k, k), OFF_DIAGONAL) + np.eye(k) * (DIAGONAL - OFF_DIAGONAL)


def _normalised(counts: Floats) -> Floats:
    log_share: Floats = np.log(counts / counts.sum(axis=-1, keepdims=True))
    return log_share


def _check_shapes(
    votes: Votes, log_item_prior: Floats | None, class_prior: Floats | None, init: Floats | None
) -> None:
    expected = (votes.n_items, votes.n_labels)
    for name, array, shape in (
        ("log_item_prior", log_item_prior, expected),
        ("class_prior", class_prior, (votes.n_labels,)),
        ("init", init, expected),
    ):
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, not {array.shape}")
