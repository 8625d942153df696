"""Versions that were trained on the crowd's consensus, as the replicas see them."""

from collections.abc import Callable
from typing import Protocol, Self, runtime_checkable

from torch import nn

from cluster.errors import ModelUnusable
from serve_apps.prelabel.model import Encoder, Features, Folds, Probabilities, Version
from training.backbone import Backbone
from training.model import CrossFitted
from training.tuned import TunedModel
from training.weights import shape_of


@runtime_checkable
class Tunable(Encoder, Protocol):
    """An encoder that has a backbone, over which other networks can stand."""

    @property
    def backbone(self) -> Backbone:
        """How contents are read, and how what a network makes of them is pooled."""
        ...

    def over(self, network: nn.Module) -> Encoder:
        """Return an encoder that is the same but for its network."""
        ...


class TrainedHead:
    """A `CrossFitted` model as a `Head`."""

    def __init__(self, model: CrossFitted) -> None:
        self._model = model

    @classmethod
    def load(cls, weights: bytes, model: str) -> Self:
        """Return the head in a model file; raises ModelUnusable."""
        return cls(CrossFitted.load(weights, model))

    @property
    def folds(self) -> int:
        """How many cross-fitted members the head has."""
        return self._model.shape.folds

    def predict(self, features: Features, folds: Folds | None) -> Probabilities:
        """Return probabilities, each row by the member of its fold, or by the mean of all."""
        return self._model.predict(features, folds)


def load_version(
    weights: bytes, base_model: str, encoder: Callable[[], Encoder], model: str
) -> Version:
    """Return the version in a file, over the encoder of its base model where it is tuned.

    Raises ModelUnusable, in which `model` names it, where the file is not of this base model.
    """
    base = shape_of(weights, model).base
    if base is None:
        return Version(TrainedHead.load(weights, model))
    if base.model != base_model or not isinstance(frozen := encoder(), Tunable):
        raise ModelUnusable(model, f"it is {base.model} tuned, not {base_model}")
    tuned = TunedModel.load(weights, frozen.backbone, model)
    return Version(TrainedHead(tuned.heads), tuple(map(frozen.over, tuned.networks)))
