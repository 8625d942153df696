"""The training step: the same code in one process and on every worker of a Ray Train run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cluster.errors import TrainingFailed
from training.config import LinearHead, Recipe, ResNetHead, Shape
from training.data import JudgedData, TrainingData
from training.group import Alone, Group
from training.heads import Heads
from training.linear import fit_linear
from training.minibatch import fit_minibatches, own_logits, seeded
from training.model import CrossFitted, Floats
from training.progress import OnProgress
from training.resnet import ResNetHeads, ResNetLearner
from training.run_state import RunState
from training.tensors import Rows
from training.tuning import fit_tuned


class Model(Protocol):
    """A trained model version: a `CrossFitted` or a `TunedModel`."""

    def save(self) -> bytes:
        """Return the model as a safetensors file; equal models give equal bytes."""
        ...

    def judged(self, rows: JudgedData) -> Floats:
        """Return what it says of rows (m, K), each by the member of its own fold."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained model and how it did.

    `log_loss` (nats) and `agreement` (share of equal most likely labels) compare it with the
    consensus of each training row, by the member that never saw that row.
    """

    model: Model
    metrics: Mapping[str, float]

    @property
    def heads(self) -> CrossFitted:
        """The model, where its recipe reads features; TypeError where it reads contents."""
        if not isinstance(self.model, CrossFitted):
            raise TypeError(f"a {type(self.model).__name__} is no head over features")
        return self.model


def fit(config: Recipe, data: TrainingData, seed: int) -> CrossFitted:
    """Train heads over features in this process; equal arguments give equal models.

    Raises TrainingFailed, and TypeError for a recipe that reads contents.
    """
    return train(config, data, seed, Alone()).heads


def train(
    config: Recipe,
    data: TrainingData,
    seed: int,
    group: Group,
    *,
    run_name: str = "local",
    resume: RunState | None = None,
    on_progress: OnProgress | None = None,
) -> Fitted:
    """Train with the group on every worker's own rows; each worker gets the same model.

    Minibatch recipes go on from `resume` and tell `on_progress`; a linear head is one solve.
    Raises TrainingFailed where the targets teach nothing, the loss is not finite, or a base model
    to tune cannot be loaded.
    """
    rows = Rows.of(data, group.device)
    _require_two_classes(rows, group, run_name)
    shape = config.shape(data.features.shape[1], data.targets.shape[1])
    model, logits = _fit(config, shape, data, rows, seed, group, run_name, resume, on_progress)
    metrics = _cross_fitted_metrics(logits, rows, group)
    if not math.isfinite(metrics["log_loss"]):
        raise TrainingFailed(run_name, "its loss is not finite")
    return Fitted(model, metrics)


def _fit(
    config: Recipe,
    shape: Shape,
    data: TrainingData,
    rows: Rows,
    seed: int,
    group: Group,
    run_name: str,
    resume: RunState | None,
    on_progress: OnProgress | None,
) -> tuple[Model, Tensor]:
    """Return a model, and what its members say of the rows of their own folds (n, K)."""
    head = config.head
    if isinstance(head, LinearHead):
        return _judged(fit_linear(head, shape, rows, group), shape, rows)
    if isinstance(head, ResNetHead):
        with seeded(seed, group.device):
            nets = ResNetHeads(shape).to(group.device)
        learner = ResNetLearner(head, nets, rows)
        fit_minibatches(head, learner, rows, seed, group, run_name, resume, on_progress)
        logits = own_logits(learner, group)
        return CrossFitted(shape, nets.cpu()), logits
    return fit_tuned(head, shape, data, rows, seed, group, run_name, resume, on_progress)


@torch.no_grad()
def _judged(heads: Heads, shape: Shape, rows: Rows) -> tuple[CrossFitted, Tensor]:
    logits = heads.own(rows.features, rows.folds)
    return CrossFitted(shape, heads.cpu()), logits


def _require_two_classes(rows: Rows, group: Group, run_name: str) -> None:
    """Raise TrainingFailed unless at least two labels are the most likely one somewhere."""
    counts = torch.bincount(rows.targets.argmax(1), minlength=rows.targets.shape[1])
    if int((group.total(counts) > 0).sum()) < 2:
        raise TrainingFailed(run_name, "the consensus holds fewer than two classes")


def _cross_fitted_metrics(logits: Tensor, rows: Rows, group: Group) -> dict[str, float]:
    agree = (logits.argmax(1) == rows.targets.argmax(1)).float()
    sums = group.total(torch.stack([agree.sum(), torch.ones_like(agree).sum()]))
    return {
        "log_loss": rows.log_loss(logits, group),
        "agreement": float(sums[0] / sums[1]),
        "train_items": float(sums[1]),
    }
