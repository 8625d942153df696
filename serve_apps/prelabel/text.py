"""Text encoders: two layers of a network of Hugging Face's, mean-pooled, each of unit length."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import nn

from cluster.domain.labels import LabelSet
from serve_apps.prelabel.batching import plan_batches
from serve_apps.prelabel.hub import Placement
from serve_apps.prelabel.model import (
    BatchBudget,
    Content,
    Features,
    Head,
    Inference,
    Prepared,
    sentences,
)
from serve_apps.prelabel.packing import pack, plan_packed
from serve_apps.prelabel.zero_shot import SimilarityHead, label_texts
from training.backbone import Array, TextBackbone

REHEARSED = 64
"""Texts that fill several rows also where they share them."""


class TextEncoder:
    """A network over a text backbone: the base model's own, or one that was tuned."""

    def __init__(self, backbone: TextBackbone, network: nn.Module, placement: Placement) -> None:
        self.backbone = backbone
        self._network, self._placement = network, placement

    @classmethod
    def load(cls, folder: Path, placement: Placement) -> Self:
        """Load a model from a folder in Hugging Face layout; raises what transformers raises."""
        device = torch.device(placement.device)
        backbone = TextBackbone.load(folder, device, placement.dtype)
        encoder = cls(backbone, placement.compiled(backbone.network), placement)
        placement.rehearse(encoder, REHEARSED)
        return encoder

    def over(self, network: nn.Module) -> "TextEncoder":
        """Return an encoder that is the same but for its network, which is run as it is."""
        return TextEncoder(self.backbone, network, self._placement)

    @property
    def dimensions(self) -> int:
        """The width of the features: a sentence embedding, and an earlier layer beside it."""
        return 2 * int(self.backbone.network.config.hidden_size)

    @property
    def sample(self) -> Content:
        """A plain sentence."""
        return "A sample sentence."

    @property
    def budget(self) -> BatchBudget:
        """What the placement asks for, in tokens."""
        return self._placement.text_budget

    def prepare(self, contents: Sequence[Content]) -> list[Prepared]:
        """Tokenize; sizes are in tokens. Raises TypeError for bytes."""
        return [Prepared(each, self.backbone.size(each)) for each in self.backbone.read(contents)]

    def plan(self, sizes: Sequence[int], budget: int) -> list[list[int]]:
        """Split texts into batches of rows that several share, or of rows for each."""
        return plan_packed(sizes, budget) if self._packs else plan_batches(sizes, budget)

    def launch(self, batch: Sequence[Prepared]) -> Inference:
        """Start on two unit vectors a text."""
        texts = [item.array for item in batch]
        with torch.inference_mode():
            return self._placement.fetched(
                self._packed(texts) if self._packs else self._padded(texts)
            )

    def label_contents(self, label_set: LabelSet) -> Sequence[Content]:
        """Return each label's name and description in several sentences."""
        return label_texts(label_set)

    def zero_shot(self, label_set: LabelSet, label_features: Features) -> Head:  # noqa: ARG002
        """Return the head that compares a text's sentence embedding with the labels' own."""
        return SimilarityHead(sentences(label_features))

    @property
    def _packs(self) -> bool:
        return self._placement.packs and self.backbone.first_position is not None

    def _packed(self, texts: Sequence[Array]) -> torch.Tensor:
        packed, place = pack(texts, self.backbone.pad), self._placement.place
        return self.backbone.pool_packed(
            self._network,
            place(packed.tokens),
            place(packed.places),
            place(packed.owners),
            len(texts),
        )

    def _padded(self, texts: Sequence[Array]) -> torch.Tensor:
        arrays = self.backbone.collate(texts)
        placed = {name: self._placement.place(each) for name, each in arrays.items()}
        return self.backbone.pool(self._network, placed)
