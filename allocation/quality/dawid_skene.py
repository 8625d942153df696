"""Dawid-Skene truth inference: one confusion matrix a worker, fitted by EM over flat arrays.

A. P. Dawid, A. M. Skene: Maximum Likelihood Estimation of Observer Error-Rates Using the EM
Algorithm, J. R. Stat. Soc. C 28(1), 1979. K is the number of labels throughout.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from allocation.quality.votes import Fit, Floats, Votes

Prior = Literal["none", "diagonal", "pooled"]
"""What is believed of a worker before any answer:

- `none`: nothing; maximum likelihood, with cells floored like crowd-kit's DawidSkene;
- `diagonal`: 4 right and 1 of each wrong answer to every class, as if seen before;
- `pooled`: 4 answers to every class, spread as the whole crowd answers it.
"""

FLOOR = 1e-10
DIAGONAL, OFF_DIAGONAL = 4.0, 1.0
POOLED_STRENGTH = 4.0
CLASS_STRENGTH = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Parameters:
    counts: Floats
    log_confusion: Floats
    log_class_prior: Floats
    log_density: float


def fit(
    votes: Votes,
    *,
    prior: Prior = "none",
    log_item_prior: Floats | None = None,
    class_prior: Floats | None = None,
    init: Floats | None = None,
    iterations_max: int = 100,
    tolerance: float = 1e-5,
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
    posterior = start(votes, log_item_prior) if init is None else init
    known = _known_items(votes, log_item_prior)
    following = _maximise(votes, posterior, prior, class_prior, known)
    history: list[float] = []
    objective = -np.inf
    for _ in range(max(iterations_max, 1) if len(votes) else 1):
        parameters = following
        posterior, log_evidence = e_step(
            votes, parameters.log_confusion, parameters.log_class_prior, log_item_prior
        )
        history.append(float(log_evidence.sum()) + parameters.log_density)
        following = _maximise(votes, posterior, prior, class_prior, known)
        before = objective
        objective = history[-1]
        if prior == "none":
            objective = _answer_bound(votes, posterior, following, log_item_prior)
        if objective - before < tolerance * len(votes):
            break
    return Fit(
        posterior=posterior,
        log_confusion=parameters.log_confusion,
        class_prior=np.exp(parameters.log_class_prior),
        iterations=len(history) if len(votes) else 0,
        log_likelihood=tuple(history),
    )


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


def e_step(
    votes: Votes,
    log_confusion: Floats,
    log_class_prior: Floats,
    log_item_prior: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Return the posterior (items, K) and the log evidence (items,) under given parameters."""
    joint = log_joint(votes, log_confusion, log_class_prior, log_item_prior).T
    top = joint.max(axis=0)
    scaled = np.exp(joint - top)
    total = scaled.sum(axis=0)
    return (scaled / total).T, top + np.log(total)


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
    if prior == "none":
        return _floored(counts)
    return _normalised(counts + _pseudo_counts(counts, prior))


def pooled_confusion(counts: Floats) -> Floats:
    """Return log P(answer | truth) of the crowd as a whole, (K, K), from expected counts.

    Smoothed as a single worker is under the `diagonal` prior, so that no cell is impossible.
    """
    total = counts.sum(axis=0)
    return _normalised(total + _diagonal(total.shape[-1]))


def start(votes: Votes, log_item_prior: Floats | None = None) -> Floats:
    """Return the posterior EM starts from: vote shares, the item prior counting as one vote.

    Equal shares for an item without either.
    """
    tally = votes.counts()
    if log_item_prior is not None:
        witness = np.exp(log_item_prior - log_item_prior.max(axis=1, keepdims=True))
        tally += witness / witness.sum(axis=1, keepdims=True)
    total = tally.sum(axis=1, keepdims=True)
    return np.where(total > 0.0, tally / np.maximum(total, FLOOR), 1.0 / votes.n_labels)


def _maximise(
    votes: Votes, posterior: Floats, prior: Prior, class_prior: Floats | None, known: Floats
) -> _Parameters:
    counts = expected_counts(votes, posterior)
    log_confusion = m_step(counts, prior)
    density = 0.0
    if prior != "none":
        density = float((_pseudo_counts(counts, prior) * log_confusion).sum())
    if class_prior is not None:
        return _Parameters(counts, log_confusion, np.log(np.maximum(class_prior, FLOOR)), density)
    strength = 0.0 if prior == "none" else CLASS_STRENGTH
    log_class_prior = _class_prior(known @ posterior + strength)
    density += strength * float(log_class_prior.sum())
    return _Parameters(counts, log_confusion, log_class_prior, density)


def _answer_bound(
    votes: Votes, posterior: Floats, parameters: _Parameters, log_item_prior: Floats | None
) -> float:
    """Return crowd-kit's evidence bound, which counts the class prior once an answer.

    The true bound counts it once an item and never falls; this one may fall, and so ends EM early
    where answers are few for the parameters. Without priors that is the only regularisation there
    is, and worth several points of accuracy on sparse sets.
    """
    confusion = float((parameters.counts * parameters.log_confusion).sum())
    per_item = posterior.T @ votes.answers_per_item()
    entropy = -float((posterior * np.log(np.maximum(posterior, FLOOR))).sum())
    witness = 0.0 if log_item_prior is None else float((posterior * log_item_prior).sum())
    return confusion + float(per_item @ parameters.log_class_prior) + witness + entropy


def _class_prior(tally: Floats) -> Floats:
    total = float(tally.sum())
    share = tally / total if total > 0.0 else np.full(len(tally), 1.0 / len(tally))
    log_share: Floats = np.log(np.maximum(share, FLOOR))
    return log_share


def _floored(counts: Floats) -> Floats:
    given = counts.sum(axis=1, keepdims=True) > 0.0
    floored = np.where(given, np.maximum(counts, FLOOR), 0.0)
    total = floored.sum(axis=2, keepdims=True)
    uniform = 1.0 / counts.shape[-1]
    share = np.where(total > 0.0, floored / np.where(total > 0.0, total, 1.0), uniform)
    log_share: Floats = np.log(np.where(share > 0.0, share, FLOOR))
    return log_share


def _pseudo_counts(counts: Floats, prior: Prior) -> Floats:
    if prior == "diagonal":
        return _diagonal(counts.shape[-1])
    return POOLED_STRENGTH * np.exp(pooled_confusion(counts))


def _diagonal(k: int) -> Floats:
    return np.full((k, k), OFF_DIAGONAL) + np.eye(k) * (DIAGONAL - OFF_DIAGONAL)


def _normalised(counts: Floats) -> Floats:
    log_share: Floats = np.log(counts / counts.sum(axis=-1, keepdims=True))
    return log_share


def _known_items(votes: Votes, log_item_prior: Floats | None) -> Floats:
    """Return 1.0 for items that say something about the class prior, else 0.0."""
    if log_item_prior is not None:
        return np.ones(votes.n_items)
    return (votes.answers_per_item() > 0).astype(np.float64)


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
