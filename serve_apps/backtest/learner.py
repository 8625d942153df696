"""The model's part in a backtest: the replicas' encoder and the trainer's step, in this process."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from allocation.conclusions import Consensus
from cluster.domain.items import Modality, fold_of
from cluster.domain.labels import LabelSet
from cluster.errors import TrainingFailed
from serve_apps.prelabel.encode import encode
from serve_apps.prelabel.loading import MINILM, RESNET, ModelLoader
from serve_apps.prelabel.model import Content, Features
from serve_apps.prelabel.turns import Turns
from training.config import Recipe
from training.data import TrainingData
from training.recipes import recipe_for
from training.step import fit

Floats = npt.NDArray[np.float64]


class Learner:
    """Features of a recording's items, and models trained on what the loop has bought."""

    def __init__(
        self, features: Features, folds: npt.NDArray[np.int64], zero_shot: Floats, recipe: Recipe
    ) -> None:
        self._features, self._folds, self._recipe = features, folds, recipe
        self.zero_shot = zero_shot

    @property
    def features(self) -> Features:
        """What the encoder says of the items, (items, D)."""
        return self._features

    @classmethod
    def over(
        cls,
        contents: Sequence[Content],
        modality: Modality,
        label_set: LabelSet,
        loader: ModelLoader,
    ) -> "Learner":
        """Encode contents with the packaged base model of their modality."""
        base = MINILM if modality == "text" else RESNET
        encoder = loader.encoder(base, modality)
        budget, turns = encoder.budget, Turns()
        features = encode(encoder, contents, budget, turns, urgent=False).features
        labels = encoder.label_contents(label_set)
        label_features = encode(encoder, labels, budget, turns, urgent=False).features
        zero_shot = encoder.zero_shot(label_set, label_features).predict(features, None)
        recipe = recipe_for(modality, base)
        folds = np.array([fold_of(_hash(content), recipe.folds) for content in contents])
        return cls(features, folds, zero_shot.astype(np.float64), recipe)

    def rows(self, positions: npt.NDArray[np.int64]) -> "Learner":
        """Return a learner over some of the items, repeated ones included."""
        return Learner(
            self._features[positions],
            self._folds[positions],
            self.zero_shot[positions],
            self._recipe,
        )

    def train(self, consensus: Consensus, seed: int) -> Floats | None:
        """Return cross-fitted probabilities (items, K) of a model trained on a consensus.

        None where the consensus teaches nothing.
        """
        rows = np.flatnonzero(consensus.trainable)
        data = TrainingData(
            features=self._features[rows],
            targets=consensus.target[rows].astype(np.float32),
            weights=np.ones(len(rows), dtype=np.float32),
            folds=self._folds[rows],
        )
        try:
            model = fit(self._recipe, data, seed)
        except TrainingFailed:
            return None
        return model.predict(self._features, self._folds).astype(np.float64)


def _hash(content: Content) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return blake2b(raw, digest_size=16).digest()
