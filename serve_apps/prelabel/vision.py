"""Image encoders: mean-pooled, unit-length embeddings by a network of Hugging Face's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import nn

from cluster.domain.labels import LabelSet
from serve_apps.prelabel.batching import plan_batches
from serve_apps.prelabel.hub import Placement
from serve_apps.prelabel.image import sample_png
from serve_apps.prelabel.model import (
    BatchBudget,
    Content,
    Features,
    Head,
    Inference,
    Prepared,
    UniformHead,
)
from training.backbone import ImageBackbone

REHEARSED = 2
"""Pictures that stand for any number."""


class VisionEncoder:
    """A network over an image backbone: the base model's own, or one that was tuned."""

    def __init__(self, backbone: ImageBackbone, network: nn.Module, placement: Placement) -> None:
        self.backbone = backbone
        self._network, self._placement = network, placement
        self._dimensions: int = self._run(backbone.network, self.prepare([self.sample]))().shape[1]

    @classmethod
    def load(cls, folder: Path, placement: Placement, pixels_max: int) -> Self:
        """Load a model from a folder in Hugging Face layout; raises what transformers raises."""
        device = torch.device(placement.device)
        backbone = ImageBackbone.load(folder, device, placement.dtype, pixels_max)
        encoder = cls(backbone, placement.compiled(backbone.network), placement)
        placement.rehearse(encoder, REHEARSED)
        return encoder

    def over(self, network: nn.Module) -> "VisionEncoder":
        """Return an encoder that is the same but for its network, which is run as it is."""
        return VisionEncoder(self.backbone, network, self._placement)

    @property
    def dimensions(self) -> int:
        """The width of the features."""
        return self._dimensions

    @property
    def sample(self) -> Content:
        """A small grey picture."""
        return sample_png()

    @property
    def budget(self) -> BatchBudget:
        """What the placement asks for, in pixels."""
        return self._placement.image_budget

    def prepare(self, contents: Sequence[Content]) -> list[Prepared]:
        """Decode, resize and normalise as the model's own processor does; sizes are in pixels."""
        return [Prepared(each, self.backbone.size(each)) for each in self.backbone.read(contents)]

    def plan(self, sizes: Sequence[int], budget: int) -> list[list[int]]:
        """Split pictures into batches, large ones first."""
        return plan_batches(sizes, budget)

    def launch(self, batch: Sequence[Prepared]) -> Inference:
        """Start on one unit vector an image."""
        return self._run(self._network, batch)

    def label_contents(self, label_set: LabelSet) -> Sequence[Content]:  # noqa: ARG002
        """Return nothing: it cannot read."""
        return ()

    def zero_shot(self, label_set: LabelSet, label_features: Features) -> Head:  # noqa: ARG002
        """Return the uniform head: without a text tower, label names say nothing of pictures."""
        return UniformHead(len(label_set))

    def _run(self, network: nn.Module, batch: Sequence[Prepared]) -> Inference:
        arrays = self.backbone.collate([item.array for item in batch])
        with torch.inference_mode():
            placed = {name: self._placement.place(each) for name, each in arrays.items()}
            return self._placement.fetched(self.backbone.pool(network, placed))
