"""Where networks run: on which device, in which numbers, and how arrays come and go."""

from dataclasses import dataclass
from typing import Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cluster.domain.models import Precision
from serve_apps.prelabel.model import BatchBudget, Encoder, Features, Inference
from training.precision import fast_dtype


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a network runs, in which numbers, and whether compiled."""

    device: str
    dtype: torch.dtype
    compiles: bool = False

    @classmethod
    def best(cls, precision: Precision = "fastest", *, compiles: bool = False) -> Self:
        """Return the GPU where there is one, in the numbers it is fastest in unless told."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        fastest = precision == "fastest"
        dtype = fast_dtype(torch.device(device)) if fastest else torch.float32
        return cls(device, dtype, compiles)

    def compiled(self, network: nn.Module) -> nn.Module:
        """Return the network as it is, or one that is compiled when it first runs, if asked for."""
        if not self.compiles:
            return network
        return cast("nn.Module", torch.compile(network, dynamic=True))

    def rehearse(self, encoder: Encoder, batch: int) -> None:
        """Have an encoder's network compiled, if asked for, rather than while somebody waits.

        For one content and for any number of them, which `batch` stands for. On a processor with
        the weights as constants. Raises what compiling raises.
        """
        if self.compiles:
            from torch._inductor import config as inductor  # noqa: PLC0415 - slow, and rarely used

            with inductor.patch(freezing=self.device == "cpu"):
                for count in (1, batch):
                    encoder.launch(encoder.prepare([encoder.sample] * count))()

    @property
    def packs(self) -> bool:
        """Whether texts share rows here; a GPU fills its batches with texts of like length."""
        return self.device == "cpu"

    @property
    def text_budget(self) -> BatchBudget:
        """Tokens a batch: what still fits a core's cache, or what fills a GPU."""
        return BatchBudget(1_024, 96) if self.device == "cpu" else BatchBudget(32_768, 4_096)

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
