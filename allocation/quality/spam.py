"""Whose answers tell nothing about the label."""

import numpy as np
import numpy.typing as npt

from allocation.quality.votes import Floats

SPAM_ANSWERS_MIN = 15
SPAM_INFORMATION_RATIO = 0.05
"""A worker known by 15 answers who tells less than a twentieth of the average one is a spammer."""


def spammers(
    log_confusion: Floats, log_pooled: Floats, answers: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Return which workers spam, (workers,).

    `log_confusion` (workers, K, K) and `log_pooled` (K, K) hold log P(answer | truth) as
    [truth, answer]; `answers` (workers,) counts what each has given.
    """
    average = float(information(log_pooled[None])[0])
    told = information(log_confusion)
    return np.asarray((answers >= SPAM_ANSWERS_MIN) & (told < SPAM_INFORMATION_RATIO * average))


def information(log_confusion: Floats) -> Floats:
    """Return what an answer tells about a label drawn evenly, in nats, (workers,)."""
    confusion = np.exp(log_confusion)
    marginal = confusion.mean(axis=1, keepdims=True)
    return np.asarray((confusion * (log_confusion - np.log(marginal))).sum(axis=2).mean(axis=1))
