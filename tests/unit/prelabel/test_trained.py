import numpy as np
import pytest
import torch

from cluster.domain.items import fold_of
from cluster.domain.labels import Label, LabelSet
from cluster.errors import ModelUnusable
from cluster.stores.objects import MemoryObjects
from serve_apps.prelabel.predictor import ChunkPredictor
from serve_apps.prelabel.work import ChunkWork
from tests.unit.prelabel.support import (
    LABELS,
    content_hash,
    loader,
    model_spec,
    predictor_over,
    read_predictions,
    store_chunk,
)
from training.config import Shape
from training.model import CrossFitted, build_heads

TEXTS = [f"text {index}" for index in range(30)]
WEIGHTS = "models/line-1/000001/model.safetensors"


def trained(features: int = 8, classes: int = 3) -> bytes:
    torch.manual_seed(1)
    shape = Shape(kind="linear", features=features, classes=classes, folds=4)
    return CrossFitted(shape, build_heads(shape)).save()


def predictor_with(weights: bytes) -> tuple[MemoryObjects, ChunkPredictor]:
    objects = MemoryObjects()
    objects.write(WEIGHTS, weights)
    return objects, predictor_over(objects)


def test_a_trained_version_labels_each_item_by_the_head_of_its_fold() -> None:
    # Given the weights of a trained version
    weights = trained()
    objects, predictor = predictor_with(weights)
    spec = model_spec(version=1, weights_path=WEIGHTS)
    # When a chunk and a single request are labelled
    outcome = predictor.predict(ChunkWork(chunk=store_chunk(objects, TEXTS), model=spec))
    online = predictor.predict_online(TEXTS, spec).probabilities
    # Then they have what the model itself says of the same features
    encoder = loader().encoder("fake", "text")
    features = encoder.launch(encoder.prepare(TEXTS))()
    folds = np.array([fold_of(content_hash(text), 4) for text in TEXTS])
    model = CrossFitted.load(weights)
    _, bulk = read_predictions(objects, outcome.predictions_path)
    np.testing.assert_allclose(bulk, model.predict(features, folds), atol=1e-6)
    np.testing.assert_allclose(online, model.predict(features), atol=1e-6)
    assert np.abs(bulk - online).max() > 1e-3


@pytest.mark.parametrize(
    ("weights", "labels"),
    [
        (trained(features=9), LABELS),
        (trained(classes=2), LABELS),
        (trained(), LabelSet((Label("a"), Label("b")))),
        (trained()[:-5], LABELS),
        (b"", LABELS),
    ],
    ids=["another width", "too few labels", "too many labels", "cut short", "empty"],
)
def test_wrong_weights_are_unusable(weights: bytes, labels: LabelSet) -> None:
    objects, predictor = predictor_with(weights)
    spec = model_spec(version=1, weights_path=WEIGHTS, labels=labels)
    with pytest.raises(ModelUnusable):
        predictor.predict(ChunkWork(chunk=store_chunk(objects, TEXTS), model=spec))
