"""The next best question: what one more answer is worth, as pure functions of arrays."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

DEARNESS_MIN = 0.5
"""However cheap a worker is, an answer has to tell this share of what an average one does."""

ALIKE = 1e-3
"""A price above the mean by this share is not above it: means of equal prices are rounded."""


def expected_error(log_posterior: Floats) -> Floats:
    """Return 1 - max posterior of each item: (n, K) log probabilities to (n,)."""
    top: Floats = np.exp(log_posterior.max(axis=1))
    return np.float32(1.0) - top


def information_gain(log_posterior: Floats, log_confusion: Floats) -> Floats:
    """Return the expected information (nats) of one worker's answer about each item's label.

    The mutual information I(label; answer) under the item's posterior (n, K) and the worker's
    confusion matrix (K, K) as log P(answer | truth): what the answer is expected to take off the
    posterior's entropy (Lindley 1956). Zero for a settled item and for a worker who answers at
    random; never negative. Shape (n,). Stacks of both, (..., n, K) and (..., K, K), give (..., n).
    """
    posterior = np.exp(log_posterior)
    confusion = np.exp(log_confusion)
    answer = posterior @ confusion
    conditional_entropy = -(confusion * log_confusion).sum(axis=-1, keepdims=True)
    marginal_entropy = -(answer * np.log(np.maximum(answer, 1e-12))).sum(axis=-1)
    expected_entropy = (posterior @ conditional_entropy)[..., 0]
    gain: Floats = np.maximum(marginal_entropy - expected_entropy, 0.0)
    return gain.astype(np.float32)


def dearness(price: Floats | float, price_mean: float) -> Floats:
    """Return how many times the mean price a worker takes, at least `DEARNESS_MIN`; 1 if it is 0.

    So much more than an average answer one of theirs has to tell to be worth its price. Below the
    least, cheapness makes up for nothing: items take a bounded number of answers.
    """
    if price_mean <= 0.0:
        return np.ones_like(np.asarray(price, dtype=np.float32))
    times = np.asarray(price, dtype=np.float32) / np.float32(price_mean * (1.0 + ALIKE))
    least: Floats = np.maximum(times, np.float32(DEARNESS_MIN))
    return least


def question_value(log_posterior: Floats, log_confusion: Floats, price: float | Floats) -> Floats:
    """Return the worth of asking one worker about each item: information a unit of price.

    A price of 0 counts as a small positive one, so that free workers are ranked by information.
    """
    paid = np.maximum(np.asarray(price, dtype=np.float32), np.float32(1e-6))
    return (information_gain(log_posterior, log_confusion) / paid).astype(np.float32)
