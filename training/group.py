"""The workers that train one model together, as the training step sees them."""

from typing import Protocol

import torch
from torch import Tensor, nn


class Group(Protocol):
    """One worker's view of all workers."""

    @property
    def rank(self) -> int:
        """This worker's index, from 0."""
        ...

    @property
    def size(self) -> int:
        """The number of workers."""
        ...

    @property
    def device(self) -> torch.device:
        """Where this worker's tensors live."""
        ...

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum of every worker's tensor, the same bits to each; all must call."""
        ...

    def replicate(self, module: nn.Module) -> nn.Module:
        """Return the module with gradients that are averaged over the workers."""
        ...


class Alone:
    """A group of one."""

    rank = 0
    size = 1
    device = torch.device("cpu")

    def total(self, tensor: Tensor) -> Tensor:
        """Return the tensor."""
        return tensor

    def replicate(self, module: nn.Module) -> nn.Module:
        """Return the module."""
        return module
