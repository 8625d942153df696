"""Small residual networks on 3 x 32 x 32 pixels: one network a fold."""

import torch
from torch import Tensor, nn

from training.config import Shape
from training.heads import Heads

CHANNELS, SIDE = 3, 32


class ResNetHeads(Heads):
    """F independent networks over flattened pixels in [0, 1]."""

    def __init__(self, shape: Shape) -> None:
        if shape.features != CHANNELS * SIDE * SIDE:
            raise ValueError(f"a resnet reads {CHANNELS * SIDE * SIDE} pixels a row")
        super().__init__()
        self.nets = nn.ModuleList(_Net(shape) for _ in range(shape.folds))

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits of every head: (n, D) to (n, F, K)."""
        return torch.stack([net(features) for net in self.nets], dim=1)

    def own(self, features: Tensor, folds: Tensor) -> Tensor:
        """Return the logits (n, K) of each row by the head of its own fold (n,)."""
        order = torch.argsort(folds)
        counts = torch.bincount(folds, minlength=len(self.nets)).tolist()
        rows = torch.split(features[order], counts)
        parts = [net(part) for net, part in zip(self.nets, rows, strict=True) if len(part)]
        return torch.cat(parts)[torch.argsort(order)]


class _Net(nn.Module):
    """A ResNet (He et al. 2016) without the second halving of its stem, which suits ImageNet."""

    def __init__(self, shape: Shape) -> None:
        from transformers import ResNetConfig, ResNetModel  # noqa: PLC0415 - takes seconds

        super().__init__()
        config = ResNetConfig(
            num_channels=CHANNELS,
            embedding_size=shape.widths[0],
            hidden_sizes=list(shape.widths),
            depths=[1] * len(shape.widths),
            layer_type="basic",
        )
        self.backbone = ResNetModel(config)
        self.classifier = nn.Linear(shape.widths[-1], shape.classes)

    def forward(self, features: Tensor) -> Tensor:
        pixels = features.view(-1, CHANNELS, SIDE, SIDE)
        pooled = self.backbone(pixels * 4.0 - 2.0).pooler_output
        logits: Tensor = self.classifier(pooled.flatten(1))
        return logits
