"""What a replica does, without the replica: chunks and single requests to probabilities."""

from collections.abc import Sequence

import numpy as np

from cluster import paths
from cluster.clock import Clock
from cluster.domain.ids import UnixSeconds
from cluster.domain.items import Modality, RejectedRow, fold_of
from cluster.domain.models import ModelSpec
from cluster.errors import ModelUnusable
from cluster.model_failures import MODEL_FAILED
from cluster.model_settings import PrelabelSettings
from cluster.ports import ObjectStore
from cluster.replica_errors import ReplicaBroken
from serve_apps.prelabel.answers import OnlineAnswer
from serve_apps.prelabel.at_work import AtWork
from serve_apps.prelabel.cache import ModelCache
from serve_apps.prelabel.encode import Encoded, encode, is_healthy
from serve_apps.prelabel.model import (
    BatchBudget,
    Content,
    Encoder,
    Folds,
    Head,
    Probabilities,
    Version,
)
from serve_apps.prelabel.tables import (
    FeatureTable,
    ItemTable,
    read_contents,
    read_features,
    read_item_table,
    write_features,
    write_predictions,
)
from serve_apps.prelabel.triage import Failure, blamed_on
from serve_apps.prelabel.turns import Turns
from serve_apps.prelabel.work import TIMELY_ROWS, ChunkOutcome, ChunkWork

TRIAL_SHARE_MIN = 0.1
"""Trials are of few rows, and a row that hangs is tried many times: they have at least this share
of the time that `TIMELY_ROWS` have. Loading a model is not counted."""

DEADLY = "ReplicaLost"
"""Why an item that ended its process cannot be labelled."""


class ChunkPredictor:
    """Pre-labels whole chunks between object store and model; safe to call from many threads."""

    def __init__(
        self, objects: ObjectStore, settings: PrelabelSettings, models: ModelCache, clock: Clock
    ) -> None:
        self._objects, self._settings, self._models = objects, settings, models
        self._clock = clock
        self._turns, self._at_work = Turns(), AtWork(clock)

    def predict(self, work: ChunkWork) -> ChunkOutcome:
        """Pre-label a chunk and store its predictions, or try some rows; again does the same.

        Features already stored for the base model are used, so a new head costs no encoding, and
        the contents are not even read. A tuned version encodes for itself, each item by the encoder
        of its fold.
        An item the model cannot handle gets a uniform prediction and is reported. Raises
        ObjectMissing for a chunk or weights that are not there, ModelUnusable for a bad model, and
        ReplicaBroken where an item has spoilt this process for all others.
        """
        started_at = self._clock.now()
        if work.trial is not None:
            contents = read_contents(self._objects, work.chunk)
            return self._try(work, contents[work.trial.first : work.trial.end], started_at)
        items = read_item_table(self._objects, work.chunk)
        table, encoded_rows = self._features(work, items)
        version = self._version(work.model, table.features.shape[1])
        hashes = items.content_hashes
        folds = np.array([fold_of(each, version.head.folds) for each in hashes], dtype=np.int64)
        if version.encoders:
            table, own_rows = self._own_features(work, version, items, folds, table)
            encoded_rows += own_rows
        probabilities, failures = self._finish(work.model, version.head, table, folds)
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

    def predict_online(self, contents: Sequence[Content], spec: ModelSpec) -> OnlineAnswer:
        """Return what exactly this version says of a few contents, ahead of bulk work.

        All cross-fitted members are averaged, as nobody was asked about these contents. A content
        the model cannot handle gets a uniform row. Raises as `predict` does.
        """
        encoder = self._models.encoder(spec)
        version = self._version(spec, encoder.dimensions)
        positions = np.arange(len(contents), dtype=np.int64)
        parts, failed = [], np.zeros(len(contents), dtype=np.bool_)
        for fold, each in enumerate(version.encoders or (encoder,)):
            encoded = self._encode(each, spec, contents, urgent=True)
            failures = [_reason(encoded, index) for index in range(len(contents))]
            table = FeatureTable.of(positions, encoded.features, failures)
            folds = np.full_like(positions, fold) if version.encoders else None
            probabilities, reasons = self._finish(spec, version.head, table, folds, urgent=True)
            parts.append(probabilities)
            failed |= np.array([reason is not None for reason in reasons], dtype=np.bool_)
        mean: Probabilities = np.mean(parts, axis=0, dtype=np.float32)
        return OnlineAnswer(version=spec.version, probabilities=mean, failed=failed)

    def warm(self, spec: ModelSpec) -> None:
        """Load all that a version needs to answer; raises as `predict` does."""
        self.predict_online([self._models.encoder(spec).sample], spec)

    def check(self) -> None:
        """Raise ReplicaBroken where a chunk takes far too long, as something in it hangs, or where
        a loaded encoder no longer handles its own sample."""
        if self._at_work.is_overdue:
            raise ReplicaBroken("a chunk that never ends")
        for encoder in self._models.encoders():
            if not is_healthy(encoder, self._turns):
                raise ReplicaBroken("the sample of an encoder")

    def _try(
        self, work: ChunkWork, contents: Sequence[Content], started_at: UnixSeconds
    ) -> ChunkOutcome:
        """Put contents to the model for no other end than to see whether this process survives."""
        encoder = self._models.encoder(work.model)
        version = self._version(work.model, encoder.dimensions)
        for each in (encoder, *version.encoders):
            self._encode(each, work.model, contents, share_min=TRIAL_SHARE_MIN)
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
        contents = read_contents(self._objects, work.chunk)
        unique, places = _distinct(items.content_hashes)
        deadly = {places[row] for row in work.deadly}
        spared = [place for place in range(len(unique)) if place not in deadly]
        encoder = self._models.encoder(work.model)
        encoded = self._encode(encoder, work.model, [contents[unique[place]] for place in spared])
        encoded = _with_deadly(encoded, spared, len(unique))
        failures = [_reason(encoded, place) for place in places]
        table = FeatureTable.of(items.positions, encoded.features[places], failures)
        write_features(self._objects, path, table)
        return table, len(unique)

    def _own_features(
        self,
        work: ChunkWork,
        version: Version,
        items: ItemTable,
        folds: Folds,
        base: FeatureTable,
    ) -> tuple[FeatureTable, int]:
        """Return the features that a tuned version's encoders give, and how many were encoded.

        What the base model fails on is not shown to them. These features are not stored: they are
        of no use to any other version.
        """
        unique, places = _distinct(items.content_hashes)
        failures = [base.failures[row] for row in unique]
        for row in work.deadly:
            failures[places[row]] = DEADLY
        features = np.zeros((len(unique), version.encoders[0].dimensions), dtype=np.float32)
        contents = read_contents(self._objects, work.chunk)
        for fold, encoder in enumerate(version.encoders):
            own = [
                place
                for place, row in enumerate(unique)
                if folds[row] == fold and failures[place] is None
            ]
            taken = [contents[unique[place]] for place in own]
            encoded = self._encode(encoder, work.model, taken)
            features[own] = encoded.features
            for index, failure in encoded.failures.items():
                failures[own[index]] = failure.reason
        own_failures = [failures[place] for place in places]
        return FeatureTable(items.positions, features[places], own_failures), len(unique)

    def _version(self, spec: ModelSpec, dimensions: int) -> Version:
        """Return a model version over base features of that width."""
        return self._models.version(
            spec,
            dimensions,
            lambda texts: self._encode(self._models.encoder(spec), spec, texts).features,
        )

    def _encode(
        self,
        encoder: Encoder,
        spec: ModelSpec,
        contents: Sequence[Content],
        *,
        urgent: bool = False,
        share_min: float = 1.0,
    ) -> Encoded:
        budget = self._budget(encoder, spec.modality)
        share = max(len(contents) / TIMELY_ROWS, share_min)
        with self._at_work.within(self._settings.chunk_timeout_s * share):
            encoded = encode(encoder, contents, budget, self._turns, urgent=urgent)
        if encoded.failures and not is_healthy(encoder, self._turns):
            # One item may break a device for all that come after it: they are not to blame.
            raise ReplicaBroken(f"{len(encoded.failures)} items of {spec.base_model}")
        return encoded

    def _budget(self, encoder: Encoder, modality: Modality) -> BatchBudget:
        """Return what the settings say, and where they say nothing, what the encoder does."""
        settings, own = self._settings, encoder.budget
        if modality == "image":
            alone, shared = settings.batch_pixels_max, settings.batch_pixels_shared_max
        else:
            alone, shared = settings.batch_tokens_max, settings.batch_tokens_shared_max
        return BatchBudget(alone or own.alone, shared or own.shared)

    def _finish(
        self,
        spec: ModelSpec,
        head: Head,
        table: FeatureTable,
        folds: Folds | None,
        *,
        urgent: bool = False,
    ) -> tuple[Probabilities, Sequence[str | None]]:
        """Return probabilities, uniform where a failure is, and the failures with any new ones."""
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
            code=MODEL_FAILED,
            detail=f"the model fails on this item ({reason}); its pre-label is uniform",
            item_id=item_id,
        )
        for position, item_id, reason in zip(items.positions, items.item_ids, failures, strict=True)
        if reason is not None
    )
