"""Image encoders from Hugging Face: mean-pooled, unit-length embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from transformers import AutoImageProcessor, BaseImageProcessor, PreTrainedModel

from cluster.domain.labels import LabelSet
from serve_apps.prelabel.hub import Placement, load_network
from serve_apps.prelabel.image import decode, sample_png
from serve_apps.prelabel.model import (
    BatchBudget,
    Content,
    Features,
    Head,
    Inference,
    Prepared,
    UniformHead,
)


class VisionEncoder:
    """Pools the last layer of a vision network over patches, or over the places of its map.

    Not by the network's own pooler: many published weights lack it, and it would be random.
    """

    def __init__(
        self,
        processor: BaseImageProcessor,
        network: PreTrainedModel,
        placement: Placement,
        pixels_max: int,
    ) -> None:
        self._processor, self._network, self._placement = processor, network, placement
        self._pixels_max = pixels_max
        self._dimensions: int = self.launch(self.prepare([self.sample]))().shape[1]

    @classmethod
    def load(cls, folder: Path, placement: Placement, pixels_max: int) -> Self:
        """Load a model from a folder in Hugging Face layout; raises what transformers raises."""
        load = AutoImageProcessor.from_pretrained
        processor = load(folder, trust_remote_code=False)  # type: ignore[no-untyped-call]
        return cls(processor, load_network(folder, placement), placement, pixels_max)

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
        return [self._pixels(content) for content in contents]

    def launch(self, batch: Sequence[Prepared]) -> Inference:
        """Start on one unit vector an image."""
        pixels = self._placement.place(np.stack([item.array for item in batch]))
        with torch.inference_mode():
            placed = pixels.to(self._placement.dtype)
            hidden = self._network(pixel_values=placed).last_hidden_state.float()
            pooled = hidden.mean(dim=1) if hidden.dim() == 3 else hidden.mean(dim=(2, 3))
            return self._placement.fetched(torch.nn.functional.normalize(pooled, dim=1))

    def label_contents(self, label_set: LabelSet) -> Sequence[Content]:  # noqa: ARG002
        """Return nothing: it cannot read."""
        return ()

    def zero_shot(self, label_set: LabelSet, label_features: Features) -> Head:  # noqa: ARG002
        """Return the uniform head: without a text tower, label names say nothing of pictures."""
        return UniformHead(len(label_set))

    def _pixels(self, content: Content) -> Prepared:
        image = decode(content, self._pixels_max)
        values = self._processor(images=image, return_tensors="np")["pixel_values"][0]
        return Prepared(values.astype(np.float32), values.shape[-1] * values.shape[-2])
