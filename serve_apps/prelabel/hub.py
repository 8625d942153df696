"""Weights from Hugging Face: safetensors only, no code of the model's own, nothing random."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from huggingface_hub import snapshot_download
from transformers import AutoModel, PreTrainedModel

from serve_apps.prelabel.model import BatchBudget, Features, Inference

FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
"""What is fetched of a model's repository: never pickles, never programs."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a network runs, and in which numbers."""

    device: str
    dtype: torch.dtype

    @classmethod
    def best(cls) -> Self:
        """Return the GPU where there is one, in bfloat16 wherever matrices are faster in it.

        A processor without matrix tiles (AMX) takes several times as long in bfloat16.
        """
        if torch.cuda.is_available():
            return cls("cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32)
        tiles = torch.cpu._is_amx_tile_supported()  # noqa: SLF001 - there is no public question
        return cls("cpu", torch.bfloat16 if tiles else torch.float32)

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


class IncompleteWeightsError(ValueError):
    """The file lacks weights that the network needs; they would be random."""


def fetch(model_id: str) -> Path:
    """Return the folder of a model on the Hugging Face hub, from the local cache if it is there.

    Only repository ids are taken, never paths; raises what the hub's client raises.
    """
    return Path(snapshot_download(repo_id=model_id, allow_patterns=list(FILES)))


def load_network(folder: Path, placement: Placement) -> PreTrainedModel:
    """Return a frozen network from a local folder.

    Raises OSError where there are no safetensors, and IncompleteWeightsError where some are
    missing (poolers aside, which nobody here reads).
    """
    network, report = AutoModel.from_pretrained(
        folder,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        dtype=placement.dtype,
        output_loading_info=True,
    )
    if any("pooler" not in name for name in report["missing_keys"]):
        raise IncompleteWeightsError
    frozen: PreTrainedModel = network.to(placement.device).eval()
    return frozen.requires_grad_(requires_grad=False)
