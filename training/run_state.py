"""Where a minibatch run stands: all it needs to go on exactly, as one safetensors file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from cluster.errors import TrainingFailed

_WEIGHTS, _MOMENTS, _BEST, _PLACE = "weights.", "optimizer.", "best.", "place"

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """The weights of least cross-fitted loss so far; `stale` epochs have passed since."""

    loss: float
    stale: int
    tensors: Tensors

    @classmethod
    def none(cls) -> Self:
        """Return what there is before the first judgement."""
        return cls(float("inf"), 0, {})

    def after(self, loss: float, tensors: Tensors) -> "Best":
        """Return the better of this and what was found now."""
        if loss < self.loss or not self.tensors:
            return Best(loss, 0, tensors)
        return Best(self.loss, self.stale + 1, self.tensors)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RunState:
    """All that a run needs to go on after `step` steps: weights, optimiser moments, the best yet.

    What is random is drawn anew from the seed and the step.
    """

    step: int
    steps_per_epoch: int
    weights: Tensors
    moments: Tensors
    best: Best

    @property
    def epochs(self) -> float:
        """How many passes over the rows were made."""
        return self.step / self.steps_per_epoch

    def save(self) -> bytes:
        """Return the state as a safetensors file."""
        place = [self.step, self.steps_per_epoch, self.best.loss, self.best.stale]
        tensors = {
            _PLACE: torch.tensor(place, dtype=torch.float64),
            **_prefixed(_WEIGHTS, self.weights),
            **_prefixed(_MOMENTS, self.moments),
            **_prefixed(_BEST, self.best.tensors),
        }
        return save_tensors({name: tensor.contiguous() for name, tensor in tensors.items()})

    @classmethod
    def load(cls, content: bytes, run_name: str) -> Self:
        """Return a state from its file; raises TrainingFailed where it is none."""
        try:
            tensors = load_tensors(content)
            step, steps_per_epoch, loss, stale = tensors.pop(_PLACE).tolist()
        except (SafetensorError, KeyError, ValueError):
            raise TrainingFailed(run_name, "its checkpoint cannot be read") from None
        return cls(
            step=int(step),
            steps_per_epoch=int(steps_per_epoch),
            weights=_below(_WEIGHTS, tensors),
            moments=_below(_MOMENTS, tensors),
            best=Best(loss, int(stale), _below(_BEST, tensors)),
        )


def require_alike(stored: Tensors, own: Tensors, run_name: str) -> None:
    """Raise TrainingFailed unless what was stored has the names and shapes of what there is."""
    for name in sorted({*stored, *own}):
        found, expected = (each[name].shape if name in each else None for each in (stored, own))
        if found != expected:
            said = f"{name} is {_told(found)} in it and {_told(expected)} here"
            raise TrainingFailed(run_name, f"its checkpoint is of another architecture: {said}")


def trained_state(network: nn.Module) -> dict[str, Tensor]:
    """Return copies of the weights that are trained, and of all statistics, by name."""
    # Members share what is frozen, which by itself would be named once.
    parameters = network.named_parameters(remove_duplicate=False)
    frozen = {name for name, each in parameters if not each.requires_grad}
    state = network.state_dict().items()
    return {name: tensor.detach().clone() for name, tensor in state if name not in frozen}


def moments_of(optimizer: torch.optim.Optimizer) -> Tensors:
    """Return what an optimiser remembers of each parameter, `<index>.<moment>` by name."""
    return {
        f"{index}.{name}": value.detach().clone()
        for index, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def moments_below(tensors: Tensors) -> dict[int, dict[str, Tensor]]:
    """Return moments as an optimiser loads them."""
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, moment = name.partition(".")
        moments.setdefault(int(index), {})[moment] = value
    return moments


def _told(shape: torch.Size | None) -> str:
    return "missing" if shape is None else " x ".join(map(str, shape)) or "a number"


def _prefixed(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def _below(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
