"""Pictures changed a little, each time another way, so that a network learns what stays."""

import torch
from torch import Tensor
from torch.nn import functional


def shift(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Return images (n, C, H, W), each moved by its own random offset; edges are repeated."""
    height, width = images.shape[-2:]
    padded = functional.pad(images, (pixels,) * 4, mode="replicate")
    offsets = torch.randint(0, 2 * pixels + 1, (2, len(images), 1), generator=generator)
    down = (offsets[0] + torch.arange(height)).to(images.device)
    right = (offsets[1] + torch.arange(width)).to(images.device)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    moved = padded.movedim(1, -1)[each, down[:, :, None], right[:, None, :]]
    return moved.movedim(-1, 1)
