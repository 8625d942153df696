"""The seam between the service and its models, small enough to fake.

A model version is an encoder (contents to features) under a head (features to label
probabilities). Most versions share the frozen encoder of their base model, and a chunk's features
outlive them all, so the three verbs of a model stand on two protocols: prepare and infer on the
encoder, predict on the head. A tuned version has an encoder of its own for each fold of its head,
and an item is encoded by that of its fold; each is an encoder like any other, so that batches,
budgets, turns and the search for poison know nothing of the difference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from cluster.domain.labels import LabelSet

Content = str | bytes
"""UTF-8 text, two texts joined by `cluster.domain.pairs`, or the encoded bytes of an image."""

Features = npt.NDArray[np.float32]
"""Shape (items, dimensions)."""

Inference = Callable[[], Features]
"""A batch on its way through the network: calling it waits for its features, and may raise."""

Probabilities = npt.NDArray[np.float32]
"""Shape (items, labels); rows add up to one."""

Folds = npt.NDArray[np.int64]
"""Shape (items,): the cross-fitting fold of each item."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One content, ready for the model; `size` is its cost in tokens or pixels."""

    array: npt.NDArray[np.generic]
    size: int


@dataclass(frozen=True, slots=True)
class BatchBudget:
    """How much one batch may cost, in tokens or pixels; `shared` while online requests come."""

    alone: int
    shared: int

    @classmethod
    def fixed(cls, budget: int) -> Self:
        """Return one budget, whoever comes."""
        return cls(budget, budget)


class Head(Protocol):
    """The part of a model version that is trained."""

    @property
    def folds(self) -> int:
        """How many cross-fitted members the head has."""
        ...

    def predict(self, features: Features, folds: Folds | None) -> Probabilities:
        """Return probabilities, each row by the member of its fold, or by the mean of all."""
        ...


class Encoder(Protocol):
    """A network, frozen; `prepare` may run on many threads at once, `launch` on one at a time.

    Either may raise anything for contents it cannot handle: `triage` finds the culprits.
    """

    @property
    def dimensions(self) -> int:
        """The width of the features."""
        ...

    @property
    def sample(self) -> Content:
        """A content that a healthy encoder always handles."""
        ...

    @property
    def budget(self) -> BatchBudget:
        """How much one batch should cost where the network is."""
        ...

    def prepare(self, contents: Sequence[Content]) -> list[Prepared]:
        """Tokenize or decode contents on the processor, one by one and in order."""
        ...

    def plan(self, sizes: Sequence[int], budget: int) -> list[list[int]]:
        """Split contents of these sizes into batches for `launch` that cost no more than a budget.

        Every index is in exactly one; a content that is over the budget by itself is so alone.
        """
        ...

    def launch(self, batch: Sequence[Prepared]) -> Inference:
        """Start the network on one padded batch; rows come in the order of the batch.

        A GPU works on while the caller prepares the next batch; a processor has finished.
        """
        ...

    def label_contents(self, label_set: LabelSet) -> Sequence[Content]:
        """Return the contents whose features tell the labels; none where it cannot read labels."""
        ...

    def zero_shot(self, label_set: LabelSet, label_features: Features) -> Head:
        """Return the head a label set starts from, given the features of `label_contents`."""
        ...


@dataclass(frozen=True, slots=True)
class Version:
    """A model version, ready: a head, and where they are its own, the encoders under it.

    `encoders` holds one for each fold of the head; it is empty where the head reads the features
    of the frozen base model.
    """

    head: Head
    encoders: tuple[Encoder, ...] = ()


def sentences(features: Features) -> Features:
    """Return the sentence embeddings, the first half of what a text encoder says of texts."""
    return features[:, : features.shape[1] // 2]


class UniformHead:
    """Knows nothing and says so: every label is equally likely."""

    def __init__(self, labels: int) -> None:
        self._labels = labels

    @property
    def folds(self) -> int:
        """One: nothing is fitted."""
        return 1

    def predict(self, features: Features, folds: Folds | None) -> Probabilities:  # noqa: ARG002
        """Return 1/K everywhere."""
        return np.full((len(features), self._labels), 1.0 / self._labels, dtype=np.float32)
