"""The model's part in a backtest: the replicas' encoder and the trainer's step, in this process."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from allocation.conclusions import Consensus
from allocation.retraining import Trained
from cluster.domain.items import Modality, fold_of
from cluster.domain.jobs import RecipeName
from cluster.domain.labels import LabelSet
from cluster.domain.models import ZERO_SHOT
from cluster.errors import TrainingFailed
from serve_apps.prelabel.encode import encode
from serve_apps.prelabel.loading import RESNET, ModelLoader
from serve_apps.prelabel.model import Content, Features
from serve_apps.prelabel.turns import Turns
from training.config import MINILM, Recipe
from training.data import JudgedData, TrainingData
from training.group import Alone
from training.recipes import recipe_for
from training.replay import REPLAYED_ROWS_MAX, chosen, sampled, together
from training.step import Model, train

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Legacy:
    """What the jobs of a line so far leave to the next one.

    The live `version` and its weights, None for zero-shot; how each training went; the `rows` that
    may be learnt from, with the hash of each one's content; and the hashes of all contents that
    were to be audited.
    """

    version: int
    model: Model | None
    trained: tuple[Trained, ...]
    rows: TrainingData
    hashes: tuple[bytes, ...]
    audited: frozenset[bytes]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ModelInUse:
    """A model version and its own cross-fitted probabilities (items, K) of a learner's items.

    `trained` is what its training tells of the learning curve, None for zero-shot.
    """

    version: int
    model: Model | None
    probabilities: Floats
    trained: Trained | None = None


class Learner:
    """Features of a recording's items, and models trained on what the loop has bought.

    With a `legacy` it begins with the model that earlier jobs left, and learns from their rows too.
    `contents` are the items, empty where the recipe reads features alone.
    """

    def __init__(
        self,
        features: Features,
        hashes: Sequence[bytes],
        zero_shot: Floats,
        recipe: Recipe,
        contents: Sequence[Content] = (),
        legacy: Legacy | None = None,
    ) -> None:
        self._features, self._hashes, self._recipe = features, tuple(hashes), recipe
        self._contents = contents
        self._folds = np.array([fold_of(each, recipe.folds) for each in hashes], dtype=np.int64)
        self._legacy = legacy
        self.zero_shot = zero_shot

    @property
    def features(self) -> Features:
        """What the encoder says of the items, (items, D)."""
        return self._features

    @property
    def recipe(self) -> Recipe:
        """How its models are trained."""
        return self._recipe

    @classmethod
    def over(
        cls,
        contents: Sequence[Content],
        modality: Modality,
        label_set: LabelSet,
        loader: ModelLoader,
        recipe_name: RecipeName = "auto",
    ) -> "Learner":
        """Encode contents with the packaged base model of their modality."""
        base = MINILM if modality == "text" else RESNET
        encoder = loader.encoder(base, modality)
        budget, turns = encoder.budget, Turns()
        features = encode(encoder, contents, budget, turns, urgent=False).features
        labels = encoder.label_contents(label_set)
        label_features = encode(encoder, labels, budget, turns, urgent=False).features
        zero_shot = encoder.zero_shot(label_set, label_features).predict(features, None)
        hashes = [content_hash(content) for content in contents]
        recipe = recipe_for(modality, base, recipe_name)
        read = () if recipe.inputs == "features" else contents
        return cls(features, hashes, zero_shot.astype(np.float64), recipe, read)

    def rows(self, positions: Positions) -> "Learner":
        """Return a learner over some of the items, repeated ones included."""
        return Learner(
            self._features[positions],
            [self._hashes[position] for position in positions],
            self.zero_shot[positions],
            self._recipe,
            self._contents_at(positions),
            self._legacy,
        )

    def after(self, legacy: Legacy) -> "Learner":
        """Return a learner over the same items that begins where earlier jobs ended."""
        contents = self._contents
        return Learner(self._features, self._hashes, self.zero_shot, self._recipe, contents, legacy)

    @property
    def trained(self) -> tuple[Trained, ...]:
        """The trainings of earlier jobs, oldest first."""
        return () if self._legacy is None else self._legacy.trained

    @property
    def earlier_rows(self) -> int:
        """How many rows earlier jobs have left to learn from."""
        return 0 if self._legacy is None else len(self._legacy.rows)

    @property
    def first(self) -> ModelInUse:
        """The version that pre-labels the items before anything is learnt of them."""
        if self._legacy is None or self._legacy.model is None:
            return ModelInUse(version=ZERO_SHOT, model=None, probabilities=self.zero_shot)
        return self._in_use(self._legacy.version, self._legacy.model)

    def data(self, rows: Positions, targets: Floats) -> TrainingData:
        """Return some items as rows to learn from, given what is believed of them (rows, K)."""
        return TrainingData(
            features=self._features[rows],
            targets=targets.astype(np.float32),
            weights=np.ones(len(rows), dtype=np.float32),
            folds=self._folds[rows],
            contents=self._contents_at(rows),
        )

    def train(self, consensus: Consensus, version: int, seed: int) -> ModelInUse | None:
        """Return a model trained on a consensus, and on the rows that earlier jobs left.

        None where they teach nothing.
        """
        data = self._learnt_from(consensus)
        if self._legacy is not None:
            data = together(data, self._replayed(self._legacy, consensus, seed))
        try:
            fitted = train(self._recipe, data, seed, Alone())
        except TrainingFailed:
            return None
        trained = Trained(rows=len(data), log_loss=fitted.metrics["log_loss"])
        return replace(self._in_use(version, fitted.model), trained=trained)

    def bequest(
        self, consensus: Consensus, model: ModelInUse, trained: tuple[Trained, ...]
    ) -> Legacy:
        """Return what the line has after the job that ended with a consensus and a model.

        `trained` are all trainings of the line.
        """
        before, rows = self._legacy, self._learnt_from(consensus)
        hashes = tuple(self._hashes[position] for position in self._taught(consensus))
        audited = self._audited(consensus)
        if before is not None:
            rows, hashes = together(before.rows, rows), (*before.hashes, *hashes)
            audited |= before.audited
        return Legacy(
            version=model.version,
            model=model.model,
            trained=trained,
            rows=rows,
            hashes=hashes,
            audited=audited,
        )

    def _in_use(self, version: int, model: Model) -> ModelInUse:
        said = model.judged(
            JudgedData(
                positions=np.arange(len(self._features)),
                features=self._features,
                folds=self._folds,
                posterior=self.zero_shot.astype(np.float32),
                audited=np.zeros(len(self._features), np.bool_),
                contents=self._contents,
            )
        )
        probabilities = said.astype(np.float64)
        return ModelInUse(version=version, model=model, probabilities=probabilities)

    def _contents_at(self, positions: Positions) -> Sequence[Content]:
        return [self._contents[position] for position in positions] if self._contents else ()

    def _learnt_from(self, consensus: Consensus) -> TrainingData:
        rows = self._taught(consensus)
        return self.data(rows, consensus.target[rows])

    def _taught(self, consensus: Consensus) -> Positions:
        """Return the items to learn from: none that any job of the line audits."""
        rows = np.flatnonzero(consensus.trainable)
        if self._legacy is None:
            return rows
        kept = [self._hashes[row] not in self._legacy.audited for row in rows]
        return rows[np.array(kept, dtype=np.bool_)]

    def _replayed(self, legacy: Legacy, consensus: Consensus, seed: int) -> TrainingData:
        audited = self._audited(consensus) | legacy.audited
        kept = np.array([found not in audited for found in legacy.hashes], dtype=np.bool_)
        earlier = chosen(legacy.rows, np.flatnonzero(kept))
        rows, weights = sampled(earlier.targets, REPLAYED_ROWS_MAX, seed)
        return chosen(earlier, rows, weights)

    def _audited(self, consensus: Consensus) -> frozenset[bytes]:
        return frozenset(self._hashes[position] for position in np.flatnonzero(consensus.audit))


def content_hash(content: Content) -> bytes:
    """Return the hash that decides the fold of a content."""
    raw = content.encode() if isinstance(content, str) else content
    return blake2b(raw, digest_size=16).digest()
