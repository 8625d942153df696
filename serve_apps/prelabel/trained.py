"""Heads that were trained on the crowd's consensus, as the replicas see them."""

from typing import Self

from serve_apps.prelabel.model import Features, Folds, Probabilities
from training.model import CrossFitted


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
