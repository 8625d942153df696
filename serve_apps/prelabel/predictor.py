"""What a replica does, without the replica: chunks and single requests to probabilities."""

from collections.abc import Sequence

import numpy as np

from cluster import paths
from cluster.clock import Clock
from cluster.domain.ids import UnixSeconds
from cluster.domain.items import Modality, RejectedRow, fold_of
from cluster.domain.models import ModelSpec
from cluster.errors import ModelUnusable
from cluster.ports import ObjectStore
from cluster.settings import PrelabelSettings
from serve_apps.prelabel.cache import ModelCache
from serve_apps.prelabel.encode import Encoded, encode
from serve_apps.prelabel.model import BatchBudget, Content, Encoder, Probabilities
from serve_apps.prelabel.tables import (
    FeatureTable,
    ItemTable,
    read_features,
    read_item_table,
    write_features,
    write_predictions,
)
from serve_apps.prelabel.triage import Failure, blamed_on
from serve_apps.prelabel.turns import Turns
from serve_apps.prelabel.work import ITEM_POISON, ChunkOutcome, ChunkWork

DEADLY = "ReplicaLost"
"""Why an item that ended its process cannot be labelled."""


class ChunkPredictor:
    """Pre-labels whole chunks between object store and model; safe to call from many threads."""

    def __init__(
        self, objects: ObjectStore, settings: PrelabelSettings, models: ModelCache, clock: Clock
    ) -> None:
        self._objects, self._settings, self._models = objects, settings, models
        self._clock = clock
        self._turns = Turns()

    def predict(self, work: ChunkWork) -> ChunkOutcome:
        """Pre-label a chunk and store its predictions, or try some rows; again does the same.

        Features already stored for the base model are used, so a new version costs no encoding.
        An item the model cannot handle gets a uniform prediction and is reported. Raises
        ObjectMissing for a chunk or weights that are not there, ModelUnusable for a bad model.
        """
        started_at = self._clock.now()
        items = read_item_table(self._objects, work.chunk)
        if work.trial is not None:
            return self._try(work, items.contents[work.trial.first : work.trial.end], started_at)
        table, encoded_rows = self._features(work, items)
        probabilities, failures = self._finish(work.model, table, items.content_hashes)
        path = paths.predictions(work.chunk.job_id, work.model.version, work.chunk.number)
        write_predictions(self._objects, path, items.positions, probabilities)
        return ChunkOutcome(
            chunk=work.chunk.number,
            rows=len(items.positions),
            predictions_path=path,
            poison=_report(items, failures),
            encoded_rows=encoded_rows,
            seconds=self._clock.now() - started_at,
        )

    def predict_online(self, contents: Sequence[Content], spec: ModelSpec) -> Probabilities:
        """Return the probabilities of a few contents, ahead of bulk work.

        All cross-fitted heads are averaged, as nobody was asked about these contents. A content
        the model cannot handle gets a uniform row. Raises as `predict` does.
        """
        encoded = self._encode(spec, contents, urgent=True)
        failures = [_reason(encoded, index) for index in range(len(contents))]
        positions = np.arange(len(contents), dtype=np.int64)
        table = FeatureTable.of(positions, encoded.features, failures)
        return self._finish(spec, table, None)[0]

    def check(self) -> None:
        """Raise ModelUnusable unless every loaded encoder still handles its own sample."""
        for encoder in self._models.encoders():
            if not self._is_healthy(encoder):
                raise ModelUnusable(type(encoder).__name__, "it fails on its own sample")

    def _try(
        self, work: ChunkWork, contents: Sequence[Content], started_at: UnixSeconds
    ) -> ChunkOutcome:
        """Put contents to the model for no other end than to see whether this process survives."""
        self._encode(work.model, contents)
        return ChunkOutcome(
            chunk=work.chunk.number,
            rows=0,
            predictions_path="",
            poison=(),
            encoded_rows=len(contents),
            seconds=self._clock.now() - started_at,
        )

    def _features(self, work: ChunkWork, items: ItemTable) -> tuple[FeatureTable, int]:
        """Return a chunk's features and how many contents were encoded for them."""
        path = paths.features(work.chunk.job_id, work.model.base_model, work.chunk.number)
        stored = read_features(self._objects, path)
        if stored is not None and np.array_equal(stored.positions, items.positions):
            return stored, 0
        unique, places = _distinct(items.content_hashes)
        deadly = {places[row] for row in work.deadly}
        spared = [place for place in range(len(unique)) if place not in deadly]
        encoded = self._encode(work.model, [items.contents[unique[place]] for place in spared])
        encoded = _with_deadly(encoded, spared, len(unique))
        failures = [_reason(encoded, place) for place in places]
        table = FeatureTable.of(items.positions, encoded.features[places], failures)
        write_features(self._objects, path, table)
        return table, len(unique)

    def _encode(
        self, spec: ModelSpec, contents: Sequence[Content], *, urgent: bool = False
    ) -> Encoded:
        encoder = self._models.encoder(spec)
        budget = self._budget(encoder, spec.modality)
        encoded = encode(encoder, contents, budget, self._turns, urgent=urgent)
        hopeless = len(contents) > 0 and len(encoded.failures) == len(contents)
        if hopeless and not self._is_healthy(encoder):
            raise ModelUnusable(spec.base_model, "it fails on every item and on its own sample")
        return encoded

    def _is_healthy(self, encoder: Encoder) -> bool:
        alone = BatchBudget.fixed(1)
        return not encode(encoder, [encoder.sample], alone, self._turns, urgent=False).failures

    def _budget(self, encoder: Encoder, modality: Modality) -> BatchBudget:
        """Return what the settings say, and where they say nothing, what the encoder does."""
        settings, own = self._settings, encoder.budget
        if modality == "text":
            alone, shared = settings.batch_tokens_max, settings.batch_tokens_shared_max
        else:
            alone, shared = settings.batch_pixels_max, settings.batch_pixels_shared_max
        return BatchBudget(alone or own.alone, shared or own.shared)

    def _finish(
        self, spec: ModelSpec, table: FeatureTable, content_hashes: Sequence[bytes] | None
    ) -> tuple[Probabilities, Sequence[str | None]]:
        """Return probabilities, uniform where a failure is, and the failures with any new ones."""
        head = self._models.head(
            spec,
            table.features.shape[1],
            lambda texts: self._encode(spec, texts).features,
        )
        folds = None
        if content_hashes is not None:
            folds = np.array([fold_of(each, head.folds) for each in content_hashes], dtype=np.int64)
        urgent = content_hashes is None
        with blamed_on(spec, "its head fails on features"), self._turns.take(urgent=urgent):
            probabilities = head.predict(table.features, folds)
        finite = np.asarray(np.isfinite(probabilities).all(axis=1))
        if len(finite) and not finite.any():
            raise ModelUnusable(spec.name, "its head gives numbers that are none")
        failures = [
            reason if ok else reason or "NotFiniteError"
            for reason, ok in zip(table.failures, finite, strict=True)
        ]
        failed = np.array([reason is not None for reason in failures], dtype=np.bool_)
        uniform = np.float32(1.0 / len(spec.label_set))
        return np.where(failed[:, None], uniform, probabilities), failures


def _distinct(content_hashes: Sequence[bytes]) -> tuple[list[int], list[int]]:
    """Return where each distinct content is first, and for every item which of those it equals."""
    place: dict[bytes, int] = {}
    first: list[int] = []
    for index, content_hash in enumerate(content_hashes):
        if content_hash not in place:
            place[content_hash] = len(first)
            first.append(index)
    return first, [place[content_hash] for content_hash in content_hashes]


def _with_deadly(encoded: Encoded, spared: Sequence[int], contents: int) -> Encoded:
    """Return what was encoded at its place among all contents, and a failure at the others."""
    features = np.zeros((contents, encoded.features.shape[1]), dtype=np.float32)
    features[list(spared)] = encoded.features
    failures = {place: Failure(DEADLY) for place in set(range(contents)).difference(spared)}
    failures |= {spared[index]: failure for index, failure in encoded.failures.items()}
    return Encoded(features, failures)


def _reason(encoded: Encoded, index: int) -> str | None:
    failure: Failure | None = encoded.failures.get(index)
    return failure.reason if failure else None


def _report(items: ItemTable, failures: Sequence[str | None]) -> tuple[RejectedRow, ...]:
    return tuple(
        RejectedRow(
            line=int(position) + 1,
            field="content",
            code=ITEM_POISON,
            detail=f"the model fails on this item ({reason}); its pre-label is uniform",
            item_id=item_id,
        )
        for position, item_id, reason in zip(items.positions, items.item_ids, failures, strict=True)
        if reason is not None
    )
