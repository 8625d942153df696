from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import paths
from cluster.domain.items import fold_of
from cluster.domain.labels import Label, LabelSet
from cluster.errors import ModelUnusable, ObjectMissing
from cluster.replica_errors import ReplicaBroken
from cluster.stores.objects import MemoryObjects
from serve_apps.prelabel.batching import plan_batches
from serve_apps.prelabel.fake import BREAKING, NOT_A_NUMBER, POISON
from serve_apps.prelabel.model import (
    BatchBudget,
    Encoder,
    Features,
    Folds,
    Head,
    Inference,
    Probabilities,
    Version,
)
from serve_apps.prelabel.work import ChunkOutcome, ChunkWork
from tests.unit.prelabel.support import (
    JOB,
    LABELS,
    CountingSource,
    content_hash,
    model_spec,
    predictor_over,
    read_predictions,
    store_chunk,
)

SAMPLE = "sample"
"""What a model is tried on when it is loaded."""

TEXTS = [f"text {index}" for index in range(20)]


def run(
    objects: MemoryObjects, contents: Sequence[str], source: CountingSource | None = None
) -> ChunkOutcome:
    work = ChunkWork(chunk=store_chunk(objects, contents), model=model_spec())
    return predictor_over(objects, source).predict(work)


def test_a_chunk_becomes_predictions_in_the_order_of_its_items() -> None:
    # Given a chunk that does not begin at position 0
    objects = MemoryObjects()
    chunk = store_chunk(objects, TEXTS, number=3, first=60)
    predictor = predictor_over(objects)
    # When it is pre-labelled
    outcome = predictor.predict(ChunkWork(chunk=chunk, model=model_spec()))
    # Then each item has the probabilities it would have had alone
    positions, probabilities = read_predictions(objects, outcome.predictions_path)
    assert positions == list(range(60, 80))
    assert outcome.predictions_path == paths.predictions(JOB, 0, 3)
    alone = [predictor.predict_online([text], model_spec()).probabilities[0] for text in TEXTS]
    np.testing.assert_array_equal(probabilities, np.stack(alone))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    # Of the looks at the clock two are between the first and the last: for each time it encodes
    assert (outcome.chunk, outcome.rows, outcome.seconds) == (3, 20, 3.0)


def test_the_stored_tables_have_the_columns_others_read() -> None:
    objects = MemoryObjects()
    outcome = run(objects, TEXTS)
    predictions = pq.read_schema(BytesIO(objects.read(outcome.predictions_path)))
    assert predictions.field("probabilities").type == pa.list_(pa.float32(), len(LABELS))
    features = pq.read_schema(BytesIO(objects.read(paths.features(JOB, "fake", 0))))
    assert features.field("position").type == pa.int64()
    assert features.field("features").type == pa.list_(pa.float16(), 8)


def test_a_second_version_encodes_nothing() -> None:
    # Given a chunk that version 0 has done
    objects = MemoryObjects()
    chunk = store_chunk(objects, TEXTS)
    first = predictor_over(objects).predict(ChunkWork(chunk=chunk, model=model_spec()))
    # When the next version does it on a fresh replica
    source = CountingSource()
    again = predictor_over(objects, source).predict(
        ChunkWork(chunk=chunk, model=model_spec(version=1))
    )
    # Then the stored features serve it, and tell it the very same
    assert first.encoded_rows == 20
    assert again.encoded_rows == 0
    assert set(source.prepared) <= {SAMPLE}
    assert again.predictions_path == paths.predictions(JOB, 1, 0)
    np.testing.assert_array_equal(
        read_predictions(objects, again.predictions_path)[1],
        read_predictions(objects, first.predictions_path)[1],
    )


def test_features_of_other_positions_are_not_believed() -> None:
    objects = MemoryObjects()
    run(objects, TEXTS)
    moved = store_chunk(objects, TEXTS, first=100)
    outcome = predictor_over(objects).predict(ChunkWork(chunk=moved, model=model_spec()))
    assert outcome.encoded_rows == 20


def test_exact_duplicates_are_encoded_once() -> None:
    objects, source = MemoryObjects(), CountingSource()
    outcome = run(objects, ["a", "b", "a", "a", "b"], source)
    assert outcome.encoded_rows == 2
    assert source.prepared == [SAMPLE, "a", "b"]
    _, probabilities = read_predictions(objects, outcome.predictions_path)
    np.testing.assert_array_equal(probabilities[[0, 0, 1]], probabilities[[2, 3, 4]])


@given(st.lists(st.sampled_from(["fine", "good", POISON, NOT_A_NUMBER, "well"]), min_size=1))
def test_poison_is_set_aside_and_everything_else_is_labelled(kinds: list[str]) -> None:
    # Given poison of both kinds anywhere in a chunk
    contents = [f"{kind} {index % 7}" for index, kind in enumerate(kinds)]
    objects = MemoryObjects()
    # When it is pre-labelled
    outcome = run(objects, contents)
    # Then exactly the poison is reported, with why, and has uniform rows
    bad = [index for index, kind in enumerate(kinds) if kind in (POISON, NOT_A_NUMBER)]
    assert [row.line - 1 for row in outcome.poison] == bad
    assert [row.item_id for row in outcome.poison] == [f"item-{index}" for index in bad]
    assert {row.code for row in outcome.poison} <= {"model-failed"}
    _, probabilities = read_predictions(objects, outcome.predictions_path)
    np.testing.assert_array_equal(probabilities[bad], np.float32(1 / 3))
    good = [index for index in range(len(kinds)) if index not in bad]
    assert (probabilities[good].max(axis=1) >= 0.5).all()


def test_poison_stays_known_to_later_versions() -> None:
    objects = MemoryObjects()
    chunk = store_chunk(objects, ["fine", POISON])
    first = predictor_over(objects).predict(ChunkWork(chunk=chunk, model=model_spec()))
    again = predictor_over(objects).predict(ChunkWork(chunk=chunk, model=model_spec(version=1)))
    assert again.encoded_rows == 0
    assert again.poison == first.poison
    assert "ValueError" in again.poison[0].detail


def test_a_model_that_fails_on_its_own_sample_is_to_blame() -> None:
    # Given an encoder whose network is broken
    class BrokenSource(CountingSource):
        def encoder(self, base_model: str, modality: str) -> "BrokenEncoder":  # type: ignore[override]
            del modality
            return BrokenEncoder(base_model)

    objects = MemoryObjects()
    # When it meets a chunk of sound items
    with pytest.raises(ModelUnusable, match="its encoder fails on its own sample"):
        run(objects, TEXTS, BrokenSource())


class BrokenEncoder:
    dimensions = 4
    sample = "sample"
    budget = BatchBudget.fixed(16)

    def __init__(self, name: str) -> None:
        self._name = name

    def prepare(self, contents: Sequence[object]) -> list[object]:
        raise RuntimeError(self._name, contents)

    def plan(self, sizes: Sequence[int], budget: int) -> list[list[int]]:
        return plan_batches(sizes, budget)

    def launch(self, batch: Sequence[object]) -> Inference:
        raise RuntimeError(self._name, batch)

    def label_contents(self, label_set: LabelSet) -> Sequence[str]:
        raise RuntimeError(self._name, label_set)

    def zero_shot(self, label_set: LabelSet, label_features: Features) -> Head:
        raise RuntimeError(self._name, label_set, label_features)


def test_a_chunk_that_is_gone_is_a_missing_object() -> None:
    objects = MemoryObjects()
    chunk = store_chunk(objects, TEXTS)
    objects.delete(chunk.items_path)
    with pytest.raises(ObjectMissing):
        predictor_over(objects).predict(ChunkWork(chunk=chunk, model=model_spec()))


class FoldHead:
    """Says which member it was asked for, and 1/4 where all were."""

    folds = 3

    def predict(self, features: Features, folds: Folds | None) -> Probabilities:
        first = np.full(len(features), 0.25) if folds is None else folds / 10.0
        return np.stack([first, 1.0 - first], axis=1).astype(np.float32)


class FoldSource(CountingSource):
    def version(
        self, weights: bytes, base_model: str, encoder: Callable[[], Encoder], model: str
    ) -> Version:
        del weights, base_model, encoder, model
        return Version(FoldHead())


def test_items_are_labelled_by_the_member_of_their_own_fold() -> None:
    objects = MemoryObjects()
    objects.write("models/folds", b"weights")
    labels = LabelSet((Label("a"), Label("b")))
    spec = model_spec(version=1, weights_path="models/folds", labels=labels)
    predictor = predictor_over(objects, FoldSource())
    outcome = predictor.predict(ChunkWork(chunk=store_chunk(objects, TEXTS), model=spec))
    _, probabilities = read_predictions(objects, outcome.predictions_path)
    folds = [fold_of(content_hash(text), 3) for text in TEXTS]
    np.testing.assert_allclose(probabilities[:, 0], np.array(folds) / 10.0, atol=1e-6)
    online = predictor.predict_online(TEXTS[:2], spec)
    assert online.version == spec.version
    assert online.probabilities[:, 0].tolist() == [0.25, 0.25]


def test_online_poison_is_uniform_and_no_contents_give_no_rows() -> None:
    predictor = predictor_over(MemoryObjects())
    answer = predictor.predict_online(["fine", POISON], model_spec())
    probabilities = answer.probabilities
    assert answer.failed.tolist() == [False, True]
    np.testing.assert_array_equal(probabilities[1], np.float32(1 / 3))
    assert probabilities[0].max() >= 0.5
    assert predictor.predict_online([], model_spec()).probabilities.shape == (0, 3)


def test_health_fails_when_a_loaded_model_fails_on_its_sample() -> None:
    source = CountingSource()
    predictor = predictor_over(MemoryObjects(), source)
    predictor.check()
    predictor.predict_online(["fine"], model_spec())
    predictor.check()
    broken = predictor_over(MemoryObjects(), source)
    encoder = broken._models.encoder(model_spec())
    nothing = np.full((1, 8), np.nan, dtype=np.float32)
    encoder.launch = lambda batch: lambda: nothing  # type: ignore[method-assign]  # noqa: ARG005
    with pytest.raises(ReplicaBroken):
        broken.check()


def test_an_item_that_spoils_the_process_is_no_verdict_on_the_others() -> None:
    # Given a chunk with an item after which the model fails on anything
    objects = MemoryObjects()
    chunk = store_chunk(objects, [*TEXTS, BREAKING])
    predictor = predictor_over(objects)
    predictor.warm(model_spec())
    # When it is pre-labelled
    with pytest.raises(ReplicaBroken):
        predictor.predict(ChunkWork(chunk=chunk, model=model_spec()))
    # Then nothing is said of any item, and the process is known to be of no use
    assert list(objects.list("jobs/")) == [chunk.items_path]
    with pytest.raises(ReplicaBroken):
        predictor.check()
