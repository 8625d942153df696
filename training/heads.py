"""Cross-fitted heads as torch modules: what every architecture gives, and the linear one."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from training.config import Shape


class Heads(nn.Module, ABC):
    """F classifiers over the same rows."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Return the logits of every head: (n, D) to (n, F, K)."""

    @abstractmethod
    def own(self, features: Tensor, folds: Tensor) -> Tensor:
        """Return the logits (n, K) of each row by the head of its own fold (n,)."""


class LinearHeads(Heads):
    """F linear classifiers over features that are centred and scaled by one number."""

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape.features))
        self.register_buffer("scale", torch.ones(()))
        self.linear = nn.Linear(shape.features, shape.folds * shape.classes)
        self._heads = (shape.folds, shape.classes)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits of every head: (n, D) to (n, F, K)."""
        logits: Tensor = self.linear((features - self.mean) / self.scale)
        return logits.view(len(logits), *self._heads)

    def own(self, features: Tensor, folds: Tensor) -> Tensor:
        """Return the logits (n, K) of each row by the head of its own fold (n,)."""
        return own_fold(self(features), folds)


def own_fold(logits: Tensor, folds: Tensor) -> Tensor:
    """Return the rows (n, K) of (n, F, K) that the head of each row's own fold gave."""
    return logits[torch.arange(len(folds), device=folds.device), folds]
