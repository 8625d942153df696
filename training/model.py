"""Model versions in memory: F cross-fitted heads over the features of a frozen base model.

Head f is trained without the items of fold f (`cluster.domain.items.fold_of`). An item of a job
is always labelled by the head of its own fold, so that what the model says of it is independent
of what the crowd said of it; contents without a fold get the mean of all heads.
"""

from collections.abc import Iterator
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from cluster.errors import ModelUnusable
from training.config import Shape
from training.data import JudgedData
from training.heads import Heads, LinearHeads
from training.resnet import ResNetHeads
from training.weights import metadata_of, shape_of

Floats = npt.NDArray[np.float32]
Folds = npt.NDArray[np.integer]

BATCH_ROWS = 1_024


def build_heads(shape: Shape) -> Heads:
    """Return freshly initialised heads of an architecture; raises ValueError for an encoder."""
    if shape.kind == "linear":
        return LinearHeads(shape)
    if shape.kind == "resnet":
        return ResNetHeads(shape)
    raise ValueError(f"a {shape.kind} version reads contents, no features")


class CrossFitted:
    """A trained model version; immutable, safe to share between threads."""

    def __init__(self, shape: Shape, heads: Heads) -> None:
        self.shape = shape
        self._heads = heads.eval().requires_grad_(requires_grad=False)

    @classmethod
    def load(cls, content: bytes, model: str = "file") -> Self:
        """Return a model from its file; raises ModelUnusable, in which `model` names it."""
        shape = shape_of(content, model)
        try:
            with torch.device("meta"):
                heads = build_heads(shape)
            heads.load_state_dict(load_tensors(content), assign=True)
        except SafetensorError:
            raise ModelUnusable(model, "its file is corrupt") from None
        except (RuntimeError, ValueError):
            raise ModelUnusable(model, f"its weights are not those of a {shape.kind}") from None
        if not all(tensor.isfinite().all() for tensor in heads.state_dict().values()):
            raise ModelUnusable(model, "its weights are not finite")
        return cls(shape, heads)

    def save(self) -> bytes:
        """Return the model as a safetensors file; equal models give equal bytes."""
        tensors = {name: tensor.contiguous() for name, tensor in self._heads.state_dict().items()}
        return save_tensors(tensors, metadata_of(self.shape))

    def predict(self, features: Floats, folds: Folds | None = None) -> Floats:
        """Return the class probabilities (n, K) of feature rows (n, D).

        `folds` (n,) names each row's own head; None takes the mean of all heads. Raises
        ModelUnusable where the width is not the model's or a probability is not finite.
        """
        if features.ndim != 2 or features.shape[1] != self.shape.features:
            reason = f"it reads {self.shape.features} features a row, not {features.shape[1:]}"
            raise ModelUnusable(self.shape.kind, reason)
        with torch.inference_mode():
            parts = list(self._batches(features, folds))
        empty = np.empty((0, self.shape.classes), np.float32)
        probabilities = np.concatenate([empty, *parts])
        if not np.isfinite(probabilities).all():
            raise ModelUnusable(self.shape.kind, "it gives probabilities that are not finite")
        return probabilities

    def judged(self, rows: JudgedData) -> Floats:
        """Return what it says of rows (m, K), each by the head of its own fold."""
        return self.predict(rows.features, rows.folds)

    def _batches(self, features: Floats, folds: Folds | None) -> Iterator[Floats]:
        for start in range(0, len(features), BATCH_ROWS):
            rows = slice(start, start + BATCH_ROWS)
            batch = torch.from_numpy(np.ascontiguousarray(features[rows], np.float32))
            if folds is None:
                yield self._heads(batch).softmax(-1).mean(1).numpy()
            else:
                own = torch.from_numpy(folds[rows].astype(np.int64))
                yield self._heads.own(batch, own).softmax(-1).numpy()
