"""The training step: the same code in one process and on every worker of a Ray Train run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from cluster.errors import TrainingFailed
from training.config import LinearHead, Recipe, Shape
from training.data import TrainingData
from training.group import Alone, Group
from training.heads import Heads
from training.linear import fit_linear
from training.minibatch import OnCheckpoint, RunState, fit_resnet
from training.model import CrossFitted
from training.tensors import Rows


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained model and how it did.

    `log_loss` (nats) and `agreement` (share of equal most likely labels) compare it with the
    consensus of each training row, by the head that never saw that row.
    """

    model: CrossFitted
    metrics: Mapping[str, float]


def fit(config: Recipe, data: TrainingData, seed: int) -> CrossFitted:
    """Train in this process; equal arguments give equal models. Raises TrainingFailed."""
    return train(config, data, seed, Alone()).model


def train(
    config: Recipe,
    data: TrainingData,
    seed: int,
    group: Group,
    *,
    run_name: str = "local",
    resume: RunState | None = None,
    on_checkpoint: OnCheckpoint | None = None,
) -> Fitted:
    """Train with the group on every worker's own rows; each worker gets the same model.

    Minibatch recipes go on from `resume` and tell `on_checkpoint`; a linear head is one solve.
    Raises TrainingFailed where the targets teach nothing or the loss is not finite.
    """
    rows = Rows.of(data, group.device)
    _require_two_classes(rows, group, run_name)
    shape = config.shape(data.features.shape[1], data.targets.shape[1])
    heads = _fit(config, shape, rows, seed, group, resume, on_checkpoint)
    metrics = _cross_fitted_metrics(heads, rows, group)
    if not math.isfinite(metrics["log_loss"]):
        raise TrainingFailed(run_name, "its loss is not finite")
    return Fitted(CrossFitted(shape, heads.cpu()), metrics)


def _fit(
    config: Recipe,
    shape: Shape,
    rows: Rows,
    seed: int,
    group: Group,
    resume: RunState | None,
    on_checkpoint: OnCheckpoint | None,
) -> Heads:
    if isinstance(config.head, LinearHead):
        return fit_linear(config.head, shape, rows, group)
    return fit_resnet(config.head, shape, rows, seed, group, resume, on_checkpoint)


def _require_two_classes(rows: Rows, group: Group, run_name: str) -> None:
    """Raise TrainingFailed unless at least two labels are the most likely one somewhere."""
    counts = torch.bincount(rows.targets.argmax(1), minlength=rows.targets.shape[1])
    if int((group.total(counts) > 0).sum()) < 2:
        raise TrainingFailed(run_name, "the consensus holds fewer than two classes")


@torch.no_grad()
def _cross_fitted_metrics(heads: Heads, rows: Rows, group: Group) -> dict[str, float]:
    logits = heads.own(rows.features, rows.folds)
    agree = (logits.argmax(1) == rows.targets.argmax(1)).float()
    sums = group.total(torch.stack([agree.sum(), torch.ones_like(agree).sum()]))
    return {
        "log_loss": rows.log_loss(logits, group),
        "agreement": float(sums[0] / sums[1]),
        "train_items": float(sums[1]),
    }
