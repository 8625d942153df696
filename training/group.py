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
        """Return the module with gradients that are averaged over the workers.

        The module's parameters may be spread over the workers from then on.
        """
        ...


class Alone:
    """A group of one, on a processor unless told otherwise."""

    rank = 0
    size = 1

    def __init__(self, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cpu")

    def total(self, tensor: Tensor) -> Tensor:
        """Return the tensor."""
        return tensor

    def replicate(self, module: nn.Module) -> nn.Module:
        """Return the module."""
        return module
