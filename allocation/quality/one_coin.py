"""One-coin truth inference: every worker is right with one probability, errors are even.

Y. Zhang, X. Chen, D. Zhou, M. I. Jordan: Spectral methods meet EM, JMLR 17, 2016. Fewer parameters
than Dawid-Skene, so it needs fewer answers, but it cannot see that a worker mixes up two classes.
All classes count as equally frequent: a learned class prior feeds on the errors the model cannot
explain, and takes whole classes over.
"""

import numpy as np

from allocation.quality.votes import Fit, Floats, Votes

RIGHT_PRIOR, WRONG_PRIOR = 4.0, 1.0
"""Answers every worker is taken to have given before: the Beta prior of the accuracy."""


def fit(votes: Votes, *, iterations_max: int = 100, tolerance: float = 1e-5) -> Fit:
    """Fit labels and worker accuracies by EM, the most probable under the prior.

    EM starts from vote shares and ends when the log posterior density gains less than `tolerance`
    an answer. Items without answers get equal probabilities, workers without answers the prior's
    accuracy; without any answers nothing is iterated.
    """
    counts = votes.counts()
    posterior = (counts + 1.0 / votes.n_labels) / (counts.sum(axis=1, keepdims=True) + 1.0)
    history: list[float] = []
    for _ in range(max(iterations_max, 1) if len(votes) else 1):
        accuracy = _accuracy(votes, posterior)
        joint = _log_likelihood(votes, accuracy) - np.log(votes.n_labels)
        top = joint.max(axis=1, keepdims=True)
        scaled = np.exp(joint - top)
        total = scaled.sum(axis=1, keepdims=True)
        posterior = scaled / total
        density = RIGHT_PRIOR * np.log(accuracy).sum() + WRONG_PRIOR * np.log1p(-accuracy).sum()
        history.append(float((top + np.log(total)).sum() + density))
        if len(history) > 1 and history[-1] - history[-2] < tolerance * len(votes):
            break
    return Fit(
        posterior=posterior,
        log_confusion=_log_confusion(accuracy, votes.n_labels),
        class_prior=np.full(votes.n_labels, 1.0 / votes.n_labels),
        iterations=len(history) if len(votes) else 0,
        log_likelihood=tuple(history),
    )


def _accuracy(votes: Votes, posterior: Floats) -> Floats:
    right = posterior[votes.items, votes.labels]
    expected = np.bincount(votes.workers, weights=right, minlength=votes.n_workers)
    total = votes.answers_per_worker() + RIGHT_PRIOR + WRONG_PRIOR
    accuracy: Floats = (expected + RIGHT_PRIOR) / total
    return accuracy


def _log_likelihood(votes: Votes, accuracy: Floats) -> Floats:
    """Return log P(answers of the item | label) of each item and label, (items, labels)."""
    log_wrong = np.log((1.0 - accuracy) / max(votes.n_labels - 1, 1))
    all_wrong = np.bincount(votes.items, weights=log_wrong[votes.workers], minlength=votes.n_items)
    return all_wrong[:, None] + votes.counts(np.log(accuracy) - log_wrong)


def _log_confusion(accuracy: Floats, n_labels: int) -> Floats:
    if n_labels == 1:
        return np.zeros((len(accuracy), 1, 1))
    wrong = (1.0 - accuracy) / (n_labels - 1)
    right = np.eye(n_labels, dtype=bool)
    return np.log(np.where(right, accuracy[:, None, None], wrong[:, None, None]))
