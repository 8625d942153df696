"""The rows of one worker as tensors."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from training.data import TrainingData
from training.group import Group
from training.losses import soft_cross_entropy


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Features (n, D), targets (n, K), weights (n,) and folds (n,) of one worker."""

    features: Tensor
    targets: Tensor
    weights: Tensor
    folds: Tensor

    @classmethod
    def of(cls, data: TrainingData, device: torch.device) -> Self:
        """Return arrays as tensors; on a CPU they share their memory."""
        return cls(
            features=torch.from_numpy(data.features).to(device),
            targets=torch.from_numpy(data.targets).to(device),
            weights=torch.from_numpy(data.weights).to(device),
            folds=torch.from_numpy(data.folds).to(device),
        )

    def head_weights(self, folds: int, index: Tensor | None = None) -> Tensor:
        """Return what each row counts for each head (n, F): nothing for that of its own fold.

        With an `index` (b,) that of some rows alone (b, F).
        """
        own, counts = self.folds, self.weights
        if index is not None:
            own, counts = own[index], counts[index]
        return counts[:, None] * (own[:, None] != torch.arange(folds, device=own.device))

    def log_loss(self, logits: Tensor, group: Group) -> float:
        """Return the weighted mean log loss (nats) of (n, K) logits over all workers' rows."""
        losses = soft_cross_entropy(logits, self.targets)
        sums = group.total(torch.stack([(losses * self.weights).sum(), self.weights.sum()]))
        return float(sums[0] / sums[1])
