"""A tuned version in a replica: each item by the encoder of its own fold, all else as ever."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cluster import paths
from cluster.domain.items import Modality, fold_of
from cluster.domain.models import ModelSpec
from cluster.errors import ModelUnusable
from cluster.replica_errors import ReplicaBroken
from cluster.stores.objects import MemoryObjects
from serve_apps.prelabel.hunt import Rows
from serve_apps.prelabel.predictor import ChunkPredictor
from serve_apps.prelabel.tables import read_features
from serve_apps.prelabel.work import ChunkWork
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
from tests.unit.training.encoders import TINY_BERT, TINY_VIT, backbone, pictures, texts, tiny_hub
from training.backbone import Backbone
from training.config import Base, Inputs, Shape
from training.tuned import TunedModel, TunedNetwork

WEIGHTS = "models/line-1/000001/model.safetensors"
TEXTS = [f"{text} {number}" for number, text in enumerate(texts(30)[0])]
LORA = Base(model=TINY_BERT, inputs="texts", rank=2, alpha=4)
FULL = Base(model=TINY_BERT, inputs="texts", frozen=("embeddings",))


BFLOAT16 = 2e-3
"""What probabilities differ by where a device trains in bfloat16, as it is then faster in it."""


@pytest.fixture(scope="module", autouse=True)
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("hub")
    with tiny_hub(folder):
        yield folder


def a_model(base: Base, folds: int = 3, classes: int = 3) -> TunedModel:
    """Return a version whose members were moved away from the base model, each its own way."""
    read_by: Backbone = backbone(base.model, base.inputs)
    width = 64 if base.model == TINY_BERT else 16
    shape = Shape(
        kind="lora" if base.rank else "full",
        features=width,
        classes=classes,
        folds=folds,
        base=base,
    )
    torch.manual_seed(0)
    network = TunedNetwork(shape, read_by)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return TunedModel(shape, network, read_by)


def serving(
    model: TunedModel, source: CountingSource | None = None
) -> tuple[MemoryObjects, ChunkPredictor, ModelSpec]:
    objects = MemoryObjects()
    objects.write(WEIGHTS, model.save())
    base = model.shape.base
    assert base is not None
    modality: Modality = "text" if base.inputs == "texts" else "image"
    spec = model_spec(base.model, version=1, weights_path=WEIGHTS, modality=modality)
    return objects, predictor_over(objects, source), spec


def folds_of(contents: Sequence[str | bytes], folds: int = 3) -> np.ndarray:
    return np.array([fold_of(content_hash(content), folds) for content in contents])


@pytest.mark.parametrize("base", [LORA, FULL], ids=["lora", "full"])
def test_each_item_is_labelled_by_the_encoder_of_its_own_fold(base: Base) -> None:
    model = a_model(base)
    objects, predictor, spec = serving(model)

    outcome = predictor.predict(ChunkWork(chunk=store_chunk(objects, TEXTS), model=spec))
    online = predictor.predict_online(TEXTS, spec).probabilities

    _, bulk = read_predictions(objects, outcome.predictions_path)
    np.testing.assert_allclose(bulk, model.predict(TEXTS, folds_of(TEXTS)), atol=BFLOAT16)
    np.testing.assert_allclose(online, model.predict(TEXTS), atol=BFLOAT16)
    assert np.abs(bulk - online).max() > 1e-2
    assert not outcome.poison


@pytest.mark.parametrize("inputs", ["images"])
def test_pictures_are_labelled_as_texts_are(inputs: Inputs) -> None:
    model = a_model(Base(model=TINY_VIT, inputs=inputs, rank=2, alpha=4))
    objects, predictor, spec = serving(model)
    contents = pictures(12)[0]

    outcome = predictor.predict(ChunkWork(chunk=store_chunk(objects, contents), model=spec))

    _, bulk = read_predictions(objects, outcome.predictions_path)
    np.testing.assert_allclose(bulk, model.predict(contents, folds_of(contents)), atol=BFLOAT16)


def test_the_features_of_the_frozen_base_are_stored_as_ever() -> None:
    objects, predictor, spec = serving(a_model(LORA))
    chunk = store_chunk(objects, TEXTS)
    frozen = replace(spec, version=0, weights_path=None)

    tuned = predictor.predict(ChunkWork(chunk=chunk, model=spec))

    stored = read_features(objects, paths.features(JOB, TINY_BERT, 0))
    assert stored is not None
    other = MemoryObjects()
    predictor_over(other).predict(ChunkWork(chunk=store_chunk(other, TEXTS), model=frozen))
    expected = read_features(other, paths.features(JOB, TINY_BERT, 0))
    assert expected is not None
    np.testing.assert_array_equal(stored.features, expected.features)
    again = predictor.predict(ChunkWork(chunk=chunk, model=spec))
    assert (tuned.encoded_rows, again.encoded_rows) == (60, 30)


def test_equal_contents_are_encoded_once_and_labelled_alike() -> None:
    objects, predictor, spec = serving(a_model(LORA))

    outcome = predictor.predict(ChunkWork(chunk=store_chunk(objects, TEXTS[:3] * 5), model=spec))

    _, bulk = read_predictions(objects, outcome.predictions_path)
    np.testing.assert_array_equal(bulk, np.tile(bulk[:3], (5, 1)))
    assert outcome.encoded_rows == 6


def test_what_ended_a_process_is_shown_to_no_member() -> None:
    source = CountingSource()
    objects, predictor, spec = serving(a_model(LORA), source)
    chunk = store_chunk(objects, TEXTS)
    predictor.predict(ChunkWork(chunk=chunk, model=replace(spec, version=0, weights_path=None)))

    outcome = predictor.predict(ChunkWork(chunk=chunk, model=spec, deadly=(4,)))

    _, bulk = read_predictions(objects, outcome.predictions_path)
    np.testing.assert_array_equal(bulk[4], np.float32(1 / 3))
    assert [row.item_id for row in outcome.poison] == ["item-4"]
    assert (np.ptp(np.delete(bulk, 4, axis=0), axis=1) > 0).all()


def test_a_trial_puts_rows_to_every_member_and_stores_nothing() -> None:
    objects, predictor, spec = serving(a_model(LORA))
    chunk = store_chunk(objects, TEXTS)

    outcome = predictor.predict(ChunkWork(chunk=chunk, model=spec, trial=Rows(2, 5)))

    assert (outcome.rows, outcome.predictions_path) == (0, "")
    assert read_features(objects, paths.features(JOB, TINY_BERT, 0)) is None


def test_health_is_that_of_every_member() -> None:
    model = a_model(LORA)
    objects, predictor, spec = serving(model)
    predictor.predict(ChunkWork(chunk=store_chunk(objects, TEXTS), model=spec))
    predictor.check()
    assert len(predictor._models.encoders()) == 1 + model.shape.folds

    member = predictor._models.encoders()[2]
    nothing = np.full((1, 32), np.nan, dtype=np.float32)
    member.launch = lambda batch: lambda: nothing  # type: ignore[method-assign]  # noqa: ARG005

    with pytest.raises(ReplicaBroken):
        predictor.check()


def of_other_labels(spec: ModelSpec) -> tuple[TunedModel, ModelSpec]:
    return a_model(LORA, classes=2), spec


def of_another_base(spec: ModelSpec) -> tuple[TunedModel, ModelSpec]:
    return a_model(LORA), replace(spec, base_model="minilm")


def of_a_base_without_a_network(spec: ModelSpec) -> tuple[TunedModel, ModelSpec]:
    return a_model(LORA), replace(spec, base_model="fake")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (of_other_labels, f"weights are for 2 labels, the set has {len(LABELS)}"),
        (of_another_base, "it is acme/tiny-bert tuned, not minilm"),
        (of_a_base_without_a_network, "it is acme/tiny-bert tuned, not fake"),
    ],
)
def test_a_version_of_something_else_is_unusable(
    change: Callable[[ModelSpec], tuple[TunedModel, ModelSpec]], reason: str
) -> None:
    spec = model_spec(TINY_BERT, version=1, weights_path=WEIGHTS)
    model, spec = change(spec)
    objects, predictor, _ = serving(model)

    with pytest.raises(ModelUnusable, match=reason):
        predictor.predict(ChunkWork(chunk=store_chunk(objects, TEXTS), model=spec))
