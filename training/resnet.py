"""Small residual networks on 3 x 32 x 32 pixels: one network a fold."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.augmentation import shift
from training.config import ResNetHead, Shape
from training.heads import Heads
from training.tensors import Rows

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


class ResNetLearner:
    """Networks as the minibatch loop sees them, over rows of pixels."""

    def __init__(self, config: ResNetHead, network: ResNetHeads, rows: Rows) -> None:
        self.network = network
        self._shift_pixels, self._rows = config.shift_pixels, rows

    @property
    def members(self) -> Sequence[nn.Module]:
        """The network of each fold."""
        return list(self.network.nets)

    @property
    def sizes(self) -> Tensor:
        """All alike (n,)."""
        return torch.ones_like(self._rows.folds)

    def logits(self, replica: nn.Module, index: Tensor, generator: torch.Generator) -> Tensor:
        """Return the logits (b, F, K) of some rows, each moved a little."""
        images = self._rows.features[index].view(-1, CHANNELS, SIDE, SIDE)
        logits: Tensor = replica(shift(images, self._shift_pixels, generator).flatten(1))
        return logits

    def own(self, index: Tensor) -> Tensor:
        """Return the logits (b, K) of some rows, each by the network of its own fold."""
        return self.network.own(self._rows.features[index], self._rows.folds[index])
