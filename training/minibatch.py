"""Minibatch training of networks: AdamW on a warm-up and cosine schedule, replicated by DDP.

All randomness is drawn from (seed, epoch, rank), so a run that goes on from the state after an
epoch takes exactly the steps it would have taken.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor
from torch.nn import functional

from training.config import ResNetHead, Shape
from training.group import Group
from training.resnet import CHANNELS, SIDE, ResNetHeads
from training.tensors import Rows, soft_cross_entropy

_WARM_UP_SHARE = 0.3
_HEADS, _OPTIMIZER = "heads.", "optimizer."

OnCheckpoint = Callable[["RunState", float], None]
"""Told now and then: the state to go on from, and this worker's mean loss of the last epoch."""


@dataclass(frozen=True, slots=True, eq=False)
class RunState:
    """All that a run needs to go on after `epochs` epochs: weights and optimiser moments."""

    epochs: int
    tensors: dict[str, Tensor]

    def save(self) -> bytes:
        """Return the state as a safetensors file."""
        return save_tensors({**self.tensors, "epochs": torch.tensor(self.epochs)})

    @classmethod
    def load(cls, content: bytes) -> Self:
        """Return a state from its file."""
        tensors = load_tensors(content)
        return cls(int(tensors.pop("epochs")), tensors)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schedule:
    """How many steps a run takes, and how large each is."""

    epochs: int
    steps_per_epoch: int
    learning_rate: float
    epochs_per_checkpoint: int

    def saves_after(self, epoch: int) -> bool:
        """Return whether a run is saved after an epoch; after the last one it is done."""
        return (epoch + 1) % self.epochs_per_checkpoint == 0 and epoch + 1 < self.epochs

    def rate(self, step: int) -> float:
        """Return the learning rate of a step: linear warm-up, then half a cosine down to zero."""
        done = (step + 1) / (self.epochs * self.steps_per_epoch)
        if done < _WARM_UP_SHARE:
            return self.learning_rate * done / _WARM_UP_SHARE
        rest = (done - _WARM_UP_SHARE) / (1.0 - _WARM_UP_SHARE)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * rest))


class _Run:
    """One worker's share of a run."""

    def __init__(
        self, config: ResNetHead, shape: Shape, rows: Rows, seed: int, group: Group
    ) -> None:
        self._config, self._rows, self._group = config, rows, group
        self._seed = seed % 2**63  # generators take neither negative nor larger numbers
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            self.heads = ResNetHeads(shape).to(group.device)
        self._replica = group.replicate(self.heads)
        self._optimizer = torch.optim.AdamW(
            self.heads.parameters(), weight_decay=config.weight_decay
        )
        self._batch_rows = max(2, config.batch_rows // group.size)
        self.schedule = self._plan()

    def _plan(self) -> _Schedule:
        """Return the schedule that all workers keep; small data is passed over more often."""
        lengths = self._rows.features.new_zeros(self._group.size)
        lengths[self._group.rank] = len(self._rows.features)
        longest = int(self._group.total(lengths).max())
        steps_per_epoch = math.ceil(longest / self._batch_rows)
        epochs = max(self._config.epochs, math.ceil(self._config.steps_min / steps_per_epoch))
        return _Schedule(
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            learning_rate=self._config.learning_rate,
            epochs_per_checkpoint=math.ceil(epochs / (1 + self._config.checkpoints)),
        )

    def epoch(self, number: int) -> float:
        """Pass over the rows once and return the mean loss."""
        self.heads.train()
        draw = np.random.SeedSequence((self._seed, number, self._group.rank)).generate_state(1)
        generator = torch.Generator().manual_seed(int(draw[0]))
        losses = 0.0
        for step, index in enumerate(self._batches(generator)):
            for parameters in self._optimizer.param_groups:
                parameters["lr"] = self.schedule.rate(number * self.schedule.steps_per_epoch + step)
            losses += self._step(self._rows.take(index), generator)
        self.heads.eval()
        return losses / self.schedule.steps_per_epoch

    def _batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield every worker's number of batches; a worker with fewer rows takes some again."""
        wanted = self.schedule.steps_per_epoch * self._batch_rows
        passes = math.ceil(wanted / len(self._rows.features))
        rows = len(self._rows.features)
        order = torch.cat([torch.randperm(rows, generator=generator) for _ in range(passes)])
        yield from torch.split(order[:wanted].to(self._group.device), self._batch_rows)

    def _step(self, batch: Rows, generator: torch.Generator) -> float:
        shifted = shift(batch.features, self._config.shift_pixels, generator)
        logits: Tensor = self._replica(shifted)
        weights = batch.head_weights(logits.shape[1])
        losses = soft_cross_entropy(logits, batch.targets[:, None]) * weights
        loss = (losses.sum(0) / weights.sum(0).clamp_min(1e-6)).sum()
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        return loss.item() / logits.shape[1]

    def state(self, epochs: int) -> RunState:
        """Return what the run needs to go on after `epochs` epochs."""
        moments = {
            f"{_OPTIMIZER}{index}.{name}": value
            for index, values in self._optimizer.state_dict()["state"].items()
            for name, value in values.items()
        }
        weights = {f"{_HEADS}{name}": value for name, value in self.heads.state_dict().items()}
        return RunState(epochs, {**weights, **moments})

    def restore(self, state: RunState) -> None:
        """Go on from a state."""
        self.heads.load_state_dict(_below(_HEADS, state.tensors))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(_OPTIMIZER, state.tensors).items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = value
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})


def fit_resnet(
    config: ResNetHead,
    shape: Shape,
    rows: Rows,
    seed: int,
    group: Group,
    resume: RunState | None,
    on_checkpoint: OnCheckpoint | None,
) -> ResNetHeads:
    """Return networks trained on all workers' rows; every worker must hold at least one."""
    run = _Run(config, shape, rows, seed, group)
    if resume is not None:
        run.restore(resume)
    for number in range(resume.epochs if resume else 0, run.schedule.epochs):
        loss = run.epoch(number)
        if on_checkpoint is not None and run.schedule.saves_after(number):
            on_checkpoint(run.state(number + 1), loss)
    _average_statistics(run.heads, group)
    return run.heads


def _average_statistics(heads: ResNetHeads, group: Group) -> None:
    """Give every worker the mean of what each saw of the activations in its last batch."""
    for buffer in heads.buffers():
        if buffer.is_floating_point():
            buffer.copy_(group.total(buffer) / group.size)


def shift(features: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Return flattened images, each moved by its own random offset; edges are repeated."""
    images = features.view(-1, CHANNELS, SIDE, SIDE)
    padded = functional.pad(images, (pixels,) * 4, mode="replicate")
    offsets = torch.randint(0, 2 * pixels + 1, (2, len(images), 1), generator=generator)
    down, right = (offsets + torch.arange(SIDE)).to(images.device)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    moved = padded.movedim(1, -1)[each, down[:, :, None], right[:, None, :]]
    return moved.movedim(-1, 1).reshape(len(images), -1)


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
