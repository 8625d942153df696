"""Where networks run: on which device, in which numbers, and how arrays come and go."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from cluster.domain.models import Precision
from serve_apps.prelabel.model import BatchBudget, Features, Inference
from training.precision import fast_dtype


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a network runs, and in which numbers."""

    device: str
    dtype: torch.dtype

    @classmethod
    def best(cls, precision: Precision = "fastest") -> Self:
        """Return the GPU where there is one, in the numbers it is fastest in unless told."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        fastest = precision == "fastest"
        return cls(device, fast_dtype(torch.device(device)) if fastest else torch.float32)

    @property
    def text_budget(self) -> BatchBudget:
        """Tokens a batch: what still fits a core's cache, or what fills a GPU."""
        return BatchBudget(512, 96) if self.device == "cpu" else BatchBudget(32_768, 4_096)

    @property
    def image_budget(self) -> BatchBudget:
        """Pixels a batch, for the same reasons; a picture for a network often has 224 x 224."""
        small = self.device == "cpu"
        return BatchBudget(800_000, 100_000) if small else BatchBudget(12_800_000, 1_600_000)

    def place(self, array: npt.NDArray[np.generic]) -> torch.Tensor:
        """Return an array where the network is; a GPU copies it while others are computed."""
        tensor = torch.from_numpy(array)
        if self.device == "cpu":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def fetched(self, features: torch.Tensor) -> Inference:
        """Return the way to features (items, dimensions) that the network is still computing."""
        if self.device == "cpu":
            found: Features = features.numpy()
            return lambda: found
        host = torch.empty(features.shape, dtype=features.dtype, pin_memory=True)
        host.copy_(features, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record()

        def wait() -> Features:
            done.synchronize()
            arrived: Features = host.numpy()
            return arrived

        return wait
