"""Labels by their names alone, honest about how little that is worth."""

from collections.abc import Sequence

import numpy as np

from cluster.domain.labels import Label, LabelSet
from serve_apps.prelabel.model import Features, Folds, Probabilities

TEMPLATES = ("{}", "This text is about {}.")
"""Each label's embedding is the mean over these."""

TEMPERATURE = 0.07
"""Divides the cosines before the softmax: where CLIP (Radford et al. 2021) begins its own."""

SHRINKAGE = 0.3
"""The share of every prediction given to the uniform one: names say little of the client's use."""


def label_texts(label_set: LabelSet) -> list[str]:
    """Return the texts to embed: all labels in the first template, then in the next."""
    return [template.format(_phrase(label)) for template in TEMPLATES for label in label_set.labels]


class SimilarityHead:
    """Softmax over the cosines of an item's embedding with each label's, then shrunk.

    The embedding is what stands first in the features, as wide as a label's.
    """

    def __init__(self, embeddings: Features) -> None:
        """Take the unit embeddings of `label_texts`, in that order."""
        means = embeddings.reshape(len(TEMPLATES), -1, embeddings.shape[1]).mean(axis=0)
        self._labels = means / np.linalg.norm(means, axis=1, keepdims=True)

    @property
    def folds(self) -> int:
        """One: nothing is fitted."""
        return 1

    def predict(self, features: Features, folds: Folds | None) -> Probabilities:  # noqa: ARG002
        """Return probabilities; no label ever gets more than 1 - SHRINKAGE x (K - 1) / K."""
        embeddings = features[:, : self._labels.shape[1]]
        scores = embeddings @ self._labels.T / TEMPERATURE
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        softmax = weights / weights.sum(axis=1, keepdims=True)
        shrunk = (1.0 - SHRINKAGE) * softmax + SHRINKAGE / len(self._labels)
        return np.asarray(shrunk, dtype=np.float32)


def _phrase(label: Label) -> str:
    """Return a label's name as words, with its description where there is one."""
    name = _words(label.name)
    return f"{name}: {label.description}" if label.description else name


def _words(name: str) -> str:
    parts: Sequence[str] = name.replace("_", " ").replace("-", " ").split()
    return " ".join(parts) or name
