"""Model files: what is saved is what is loaded, and nothing else is."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import ModelUnusable
from tests.unit.training.worlds import Floats
from training.config import Shape
from training.model import CrossFitted, build_heads
from training.weights import FORMAT, metadata_of, shape_of

LINEAR = Shape(kind="linear", features=6, classes=3, folds=4)
RESNET = Shape(kind="resnet", features=3_072, classes=3, folds=2, widths=(4, 8))


def a_model(shape: Shape = LINEAR, seed: int = 0) -> CrossFitted:
    torch.manual_seed(seed)
    return CrossFitted(shape, build_heads(shape))


def rows_of(shape: Shape, rows: int = 9) -> Floats:
    return np.random.default_rng(0).random((rows, shape.features), np.float32)


@pytest.mark.parametrize("shape", [LINEAR, RESNET])
def test_a_model_says_the_same_after_it_was_saved_and_loaded(shape: Shape) -> None:
    model, features = a_model(shape), rows_of(shape)
    folds = np.arange(len(features)) % shape.folds

    loaded = CrossFitted.load(model.save())

    assert loaded.shape == shape
    np.testing.assert_array_equal(loaded.predict(features), model.predict(features))
    np.testing.assert_array_equal(loaded.predict(features, folds), model.predict(features, folds))
    assert loaded.save() == model.save()


@pytest.mark.parametrize("shape", [LINEAR, RESNET])
def test_an_item_gets_the_head_of_its_own_fold_and_others_the_mean(shape: Shape) -> None:
    model, features = a_model(shape), rows_of(shape)
    folds = np.arange(len(features)) % shape.folds

    each = [model.predict(features, np.full(len(features), fold)) for fold in range(shape.folds)]

    own = np.stack(each)[folds, np.arange(len(features))]
    np.testing.assert_allclose(model.predict(features, folds), own, atol=1e-6)
    np.testing.assert_allclose(model.predict(features), np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_allclose(model.predict(features).sum(axis=1), 1.0, atol=1e-6)


def test_many_rows_and_none_are_both_rows() -> None:
    model, features = a_model(), rows_of(LINEAR, rows=3_000)
    folds = np.zeros(3_000, np.int64)

    probabilities = model.predict(features, folds)

    np.testing.assert_allclose(probabilities[2_999:], model.predict(features[2_999:], folds[:1]))
    assert model.predict(features[:0]).shape == (0, 3)


def test_features_of_another_width_are_refused() -> None:
    with pytest.raises(ModelUnusable, match="reads 6 features a row, not"):
        a_model().predict(np.zeros((2, 7), np.float32))


def test_features_that_are_no_numbers_do_not_become_probabilities() -> None:
    with pytest.raises(ModelUnusable, match="not finite"):
        a_model().predict(np.full((1, 6), np.nan, np.float32))


def relabelled(content: bytes, **changes: object) -> bytes:
    """Return a model file whose metadata says something else of the same tensors."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    declared = json.loads(header["__metadata__"][FORMAT]) | changes
    header["__metadata__"] = {FORMAT: json.dumps(declared)}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def without_finite_weights(content: bytes) -> bytes:
    return content[:-4] + np.float32(np.nan).tobytes()


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda _: b"", "not a safetensors file"),
        (lambda _: b"\x80\x04\x95 a pickle, not a model", "not a safetensors file"),
        (lambda content: content[:-5], "corrupt"),
        (lambda content: b"\xff" * 8 + content[8:], "not a safetensors file"),
        (lambda content: content.replace(FORMAT.encode(), b"x" * len(FORMAT)), "of the format"),
        (lambda content: relabelled(content, kind="pickle"), "no architecture of this service"),
        (lambda content: relabelled(content, kind="resnet"), "weights are not those of a resnet"),
        (lambda content: relabelled(content, classes=4), "weights are not those of a linear"),
        (lambda content: relabelled(content, classes=-4), "no architecture"),
        (lambda content: relabelled(content, classes="many"), "no architecture"),
        (lambda content: relabelled(content, colour="red"), "no architecture"),
        (without_finite_weights, "not finite"),
    ],
)
def test_files_that_are_no_model_are_refused(broken: Callable[[bytes], bytes], reason: str) -> None:
    content = broken(a_model().save())

    with pytest.raises(ModelUnusable, match=reason) as refused:
        CrossFitted.load(content, "line version 3")

    assert refused.value.model == "line version 3"


def test_a_claim_of_enormous_size_costs_no_memory() -> None:
    content = relabelled(a_model().save(), features=1_000_000, classes=1_000_000)

    with pytest.raises(ModelUnusable, match="not those of a linear"):
        CrossFitted.load(content)


@given(content=st.binary(max_size=64))
def test_random_bytes_are_refused_and_nothing_else_happens(content: bytes) -> None:
    with pytest.raises(ModelUnusable):
        CrossFitted.load(content)


def test_the_shape_is_read_without_the_tensors() -> None:
    content = a_model(RESNET).save()

    assert shape_of(content, "m") == RESNET
    assert metadata_of(LINEAR) != metadata_of(replace(LINEAR, folds=9))
