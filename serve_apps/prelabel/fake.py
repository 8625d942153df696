"""A model made of hashes: fast, deterministic, and able to fail on command."""

from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np

from cluster.domain.labels import LabelSet
from serve_apps.prelabel.batching import plan_batches
from serve_apps.prelabel.model import (
    BatchBudget,
    Content,
    Features,
    Folds,
    Head,
    Inference,
    Prepared,
    Probabilities,
)

DIMENSIONS = 8
POISON = "muster-poison"
"""A content that holds this makes inference raise."""

DEADLY = "muster-deadly"
"""A content that holds this ends the process."""

BREAKING = "muster-breaking"
"""A content that holds this makes inference raise, of all contents from then on, as an error of a
device may."""

HANGING = "muster-hanging"
"""A content that holds this is not prepared within hours."""

HANG_S = 36_000.0

NOT_A_NUMBER = "muster-nan"
"""A content that holds this gets features that are not numbers."""


class FakeEncoder:
    """Features are the first bytes of the content's hash, in 256ths.

    Inference takes `service_time_s` an item, spent by calling `pause`, as hanging contents are too;
    deadly ones call `die`.
    """

    def __init__(
        self,
        service_time_s: float,
        pause: Callable[[float], None],
        die: Callable[[], object],
    ) -> None:
        self._service_time_s, self._pause, self._die = service_time_s, pause, die
        self._is_broken = False

    @property
    def dimensions(self) -> int:
        """The width of the features."""
        return DIMENSIONS

    @property
    def sample(self) -> Content:
        """A harmless word."""
        return "sample"

    @property
    def budget(self) -> BatchBudget:
        """Some hundred contents, and few while online requests come."""
        return BatchBudget(512, 32)

    def prepare(self, contents: Sequence[Content]) -> list[Prepared]:
        """Keep the bytes; every content has size 1."""
        if any(HANGING.encode() in _bytes(content) for content in contents):
            self._pause(HANG_S)
        return [Prepared(np.frombuffer(_bytes(content), dtype=np.uint8), 1) for content in contents]

    def plan(self, sizes: Sequence[int], budget: int) -> list[list[int]]:
        """Split contents into batches of as many as the budget says."""
        return plan_batches(sizes, budget)

    def launch(self, batch: Sequence[Prepared]) -> Inference:
        """Compute hash numbers in [0, 1); ValueError for poison, RuntimeError once broken."""
        if self._service_time_s:
            self._pause(self._service_time_s * len(batch))
        if any(DEADLY.encode() in item.array.tobytes() for item in batch):
            self._die()
        self._is_broken |= any(BREAKING.encode() in item.array.tobytes() for item in batch)
        if self._is_broken:
            raise RuntimeError(BREAKING)
        features = np.stack([_features(item.array.tobytes()) for item in batch])
        return lambda: features

    def label_contents(self, label_set: LabelSet) -> Sequence[Content]:  # noqa: ARG002
        """Return nothing: labels are numbers here."""
        return ()

    def zero_shot(self, label_set: LabelSet, label_features: Features) -> Head:  # noqa: ARG002
        """Return the head whose labels are hash numbers too."""
        return FakeHead(len(label_set))


class FakeHead:
    """Picks a label by the first two features and its confidence, in [0.5, 1), by the third."""

    def __init__(self, labels: int) -> None:
        self._labels = labels

    @property
    def folds(self) -> int:
        """One: nothing is fitted."""
        return 1

    def predict(self, features: Features, folds: Folds | None) -> Probabilities:  # noqa: ARG002
        """Return the probabilities; the same features always give the same."""
        codes = (features[:, :2] @ np.array([65_536.0, 256.0])).astype(np.int64) % self._labels
        confidence = 0.5 + features[:, 2] / 2.0
        others = (1.0 - confidence) / (self._labels - 1)
        probabilities = np.repeat(others[:, None], self._labels, axis=1)
        probabilities[np.arange(len(codes)), codes] = confidence
        return probabilities.astype(np.float32)


def _features(content: bytes) -> Features:
    if POISON.encode() in content:
        raise ValueError(POISON)
    if NOT_A_NUMBER.encode() in content:
        return np.full(DIMENSIONS, np.nan, dtype=np.float32)
    digest = blake2b(content, digest_size=DIMENSIONS).digest()
    return np.frombuffer(digest, dtype=np.uint8).astype(np.float32) / 256.0


def _bytes(content: Content) -> bytes:
    return content.encode() if isinstance(content, str) else content
