"""A plain PyTorch loop over small images, as one would write it: `python -m ... ORDER.npz`.

The same networks, numbers, batches, augmentation and loss as the recipe it is measured against,
and nothing else: no checkpoints, no metrics, no other worker. It prints samples a second from the
end of its first epoch on.
"""

import sys
from time import perf_counter

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.augmentation import shift
from training.config import Shape
from training.precision import autocast
from training.resnet import CHANNELS, SIDE, ResNetHeads


def train(
    pixels: Tensor, targets: Tensor, folds: Tensor, shape: Shape, recipe: dict[str, float]
) -> float:
    """Train and return samples a second."""
    rows, batch_rows = len(pixels), int(recipe["batch_rows"])
    steps = -(-rows // batch_rows)
    epochs = int(recipe["epochs"])
    model = ResNetHeads(shape).train()
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=recipe["learning_rate"],
        weight_decay=recipe["weight_decay"],
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe["learning_rate"], total_steps=epochs * steps
    )
    generator = torch.Generator().manual_seed(0)
    members = torch.arange(shape.folds)
    started_at = 0.0
    for epoch in range(epochs):
        for index in torch.split(torch.randperm(rows, generator=generator), batch_rows):
            images = pixels[index].view(-1, CHANNELS, SIDE, SIDE)
            images = shift(images, int(recipe["shift_pixels"]), generator).flatten(1)
            weights = (folds[index, None] != members).float()
            with autocast(torch.device("cpu")):
                logits = model(images).float()
            losses = -(targets[index, None] * functional.log_softmax(logits, -1)).sum(-1)
            loss = ((losses * weights).sum(0) / weights.sum(0).clamp_min(1e-6)).sum()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
        if epoch == 0:
            started_at = perf_counter()
    return rows * (epochs - 1) / (perf_counter() - started_at)


def main() -> None:
    """Read the order and print the rate."""
    torch.set_num_threads(1)
    with np.load(sys.argv[1]) as order:
        recipe = dict(zip(order["names"].tolist(), order["values"].tolist(), strict=True))
        targets = torch.from_numpy(order["targets"])
        shape = Shape(
            kind="resnet",
            features=order["pixels"].shape[1],
            classes=targets.shape[1],
            folds=int(recipe["folds"]),
            widths=tuple(order["widths"].tolist()),
        )
        folds = torch.from_numpy(order["folds"])
        rate = train(torch.from_numpy(order["pixels"]), targets, folds, shape, recipe)
    print(rate)


if __name__ == "__main__":
    main()
