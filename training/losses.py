"""Losses of logits (..., K) against posteriors of the crowd (..., K), one number (...,) a row.

The target is what the crowd's answers say, not their most voted label: an item they are unsure of
teaches that it is unsure (Peterson et al. 2019, doi:10.1109/ICCV.2019.00971). All three are linear
in the target, so that a posterior costs what its labels cost on average.
"""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from training.config import Loss

SYMMETRIC_FORWARD, SYMMETRIC_REVERSE = 0.5, 0.5
"""The shares of cross entropy and of reverse cross entropy in the symmetric one."""

LOG_TARGET_MIN = -4.0
"""The logarithm of a target of 0, as in the source of the symmetric loss."""

GENERALISED_EXPONENT = 0.7
"""Between cross entropy (towards 0) and mean absolute error (1); its source's own choice."""


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross entropy -sum_k t_k log p_k."""
    return -(targets * functional.log_softmax(logits, dim=-1)).sum(-1)


def symmetric_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return cross entropy and, against wrong labels, its reverse -sum_k p_k log t_k.

    Wang et al. 2019 (doi:10.1109/ICCV.2019.00041), for each label k of a target in turn: the
    reverse part of label k is -`LOG_TARGET_MIN` (1 - p_k).
    """
    reverse = -LOG_TARGET_MIN * (1.0 - (targets * logits.softmax(-1)).sum(-1))
    return SYMMETRIC_FORWARD * soft_cross_entropy(logits, targets) + SYMMETRIC_REVERSE * reverse


def generalised_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return sum_k t_k (1 - p_k^q) / q (Zhang & Sabuncu 2018, arXiv:1805.07836)."""
    powers = (GENERALISED_EXPONENT * functional.log_softmax(logits, dim=-1)).exp()
    return (targets * (1.0 - powers)).sum(-1) / GENERALISED_EXPONENT


def loss_of(name: Loss) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss a recipe names."""
    losses: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
        "posterior": soft_cross_entropy,
        "symmetric": symmetric_cross_entropy,
        "generalised": generalised_cross_entropy,
    }
    return losses[name]
