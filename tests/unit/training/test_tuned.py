"""Tuned encoders: they learn, they are cross-fitted, and their files hold nothing else."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from cluster.errors import ModelUnusable, TrainingFailed
from tests.unit.training.encoders import (
    TINY_BERT,
    TINY_VIT,
    backbone,
    data_of,
    pictures,
    texts,
)
from training.config import LinearHead, Recipe, TunedEncoder
from training.data import JudgedData, TrainingData
from training.group import Alone
from training.progress import Progress
from training.recipes import image_full, image_lora, text_full, text_head, text_lora
from training.run_state import RunState
from training.step import Fitted, fit, train
from training.tuned import TunedModel
from training.weights import FORMAT

pytestmark = pytest.mark.usefixtures("hub")


def quick(recipe: Recipe, **changes: object) -> Recipe:
    """Return a recipe that takes a second on a tiny encoder."""
    assert isinstance(recipe.head, TunedEncoder)
    fields: dict[str, object] = {"epochs": 8, "learning_rate": 1e-2, "batch_rows": 16}
    return replace(recipe, head=replace(recipe.head, **{**fields, **changes}))  # type: ignore[arg-type]


LORA, FULL = quick(text_lora(TINY_BERT)), quick(text_full(TINY_BERT), learning_rate=5e-3)
RECIPES = pytest.mark.parametrize("recipe", [LORA, FULL], ids=["lora", "full"])


def rows(items: int = 96, seed: int = 0) -> TrainingData:
    return data_of(*texts(items, seed), backbone())


def tuned(recipe: Recipe, data: TrainingData, seed: int = 1) -> TunedModel:
    model = train(recipe, data, seed, Alone()).model
    assert isinstance(model, TunedModel)
    return model


@RECIPES
def test_an_encoder_learns_more_than_a_head_on_its_features(recipe: Recipe) -> None:
    data = rows(160)
    unseen, labels = texts(200, seed=9)

    model = tuned(quick(recipe, epochs=12, patience=8), data)
    head = fit(text_head(), data, seed=1)

    right = (model.predict(unseen).argmax(1) == labels).mean()
    frozen = (head.predict(rows(200, seed=9).features).argmax(1) == labels).mean()
    assert right > 0.95
    assert frozen < 0.85


@pytest.mark.parametrize("recipe", [image_lora(TINY_VIT), image_full(TINY_VIT)])
def test_pictures_are_learnt_as_texts_are(recipe: Recipe) -> None:
    data = data_of(*pictures(48), backbone(TINY_VIT, "images"))
    unseen, labels = pictures(48, seed=1)

    model = tuned(quick(recipe, shift_pixels=2), data)

    assert (model.predict(unseen).argmax(1) == labels).mean() > 0.9


@RECIPES
def test_equal_data_and_seeds_give_equal_bytes(recipe: Recipe) -> None:
    data, short = rows(48), quick(recipe, epochs=1, patience=None)

    assert tuned(short, data).save() == tuned(short, data).save()
    assert tuned(short, data).save() != tuned(short, data, seed=2).save()


@RECIPES
def test_a_member_has_not_seen_the_items_of_its_fold(recipe: Recipe) -> None:
    """Whatever is said of the items of one fold, encoder and head of its own member stay."""
    data = rows(64)
    turned = data.targets.copy()
    turned[data.folds == 1] = turned[data.folds == 1][:, ::-1]
    # One penalty and no early stop: both are chosen by all members together.
    head = LinearHead(l2_path=(0.1,), gradient_tolerance=1e-6)
    short = quick(recipe, epochs=2, patience=None, head=head)

    before, after = tuned(short, data), tuned(short, replace(data, targets=turned))

    own = np.ones(len(data), np.int64)
    change = np.abs(before.predict(data.contents, own) - after.predict(data.contents, own))
    others = np.abs(before.predict(data.contents, 1 - own) - after.predict(data.contents, 1 - own))
    assert change.max() < 0.01
    assert others.max() > 0.1


@RECIPES
def test_a_model_says_the_same_after_it_was_saved_and_loaded(recipe: Recipe) -> None:
    data = rows(48)
    model = tuned(quick(recipe, epochs=1), data)

    loaded = TunedModel.load(model.save(), backbone())

    assert loaded.shape == model.shape
    assert loaded.save() == model.save()
    for folds in (None, data.folds):
        np.testing.assert_allclose(
            loaded.predict(data.contents, folds), model.predict(data.contents, folds), atol=1e-6
        )


def test_a_content_is_labelled_by_its_own_member_and_others_by_the_mean() -> None:
    data = rows(48)
    model = tuned(LORA, data)

    each = [model.predict(data.contents, np.full(48, fold)) for fold in range(2)]

    own = np.stack(each)[data.folds, np.arange(48)]
    np.testing.assert_allclose(model.predict(data.contents, data.folds), own, atol=1e-6)
    np.testing.assert_allclose(model.predict(data.contents), np.mean(each, axis=0), atol=1e-6)
    audit = JudgedData(
        positions=np.arange(48),
        features=data.features,
        folds=data.folds,
        posterior=data.targets,
        audited=np.ones(48, np.bool_),
        contents=data.contents,
    )
    np.testing.assert_array_equal(model.judged(audit), model.predict(data.contents, data.folds))


def test_adapters_share_the_base_and_store_nothing_of_it() -> None:
    model, base = tuned(LORA, rows(48)), backbone().network

    names = set(load_tensors(model.save()))

    assert all("lora_" in name or not name.startswith("networks.") for name in names)
    shared = [set(map(id, network.parameters())) for network in model.networks]
    frozen = sum(1 for _ in base.parameters())
    assert len(shared[0] & shared[1]) == frozen


def run(
    recipe: Recipe, data: TrainingData, resume: RunState | None = None
) -> tuple[Fitted, list[RunState]]:
    states: list[RunState] = []

    def note(progress: Progress) -> None:
        if progress.due:
            states.append(RunState.load(progress.state(), "run"))

    fitted = train(recipe, data, 5, Alone(), resume=resume, on_progress=note)
    return fitted, states


@RECIPES
@pytest.mark.parametrize("patience", [None, 1])
def test_a_run_that_was_cut_off_ends_with_the_very_same_weights(
    recipe: Recipe, patience: int | None
) -> None:
    """At any step, in the middle of an epoch too, and with dropout."""
    data = rows(40)
    short = quick(recipe, epochs=3, checkpoints=4, accumulation=2, dropout=0.2, patience=patience)
    whole, states = run(short, data)

    assert any(state.step % state.steps_per_epoch for state in states)
    for state in states:
        again, _ = run(short, data, resume=state)
        assert again.model.save() == whole.model.save()
        assert again.metrics == whole.metrics


def test_what_foretells_held_out_rows_worse_than_the_frozen_model_is_not_kept() -> None:
    data = rows(48)
    wild = quick(text_full(TINY_BERT), learning_rate=3.0, epochs=2, gradient_norm_max=None)

    spoilt = train(wild, data, 1, Alone())

    untouched = train(quick(wild, learning_rate=0.0), data, 1, Alone())
    assert spoilt.metrics["log_loss"] == pytest.approx(untouched.metrics["log_loss"])


def test_a_loss_that_is_no_number_is_a_clear_failure() -> None:
    data = rows(32)
    data.targets[0, 0] = np.nan

    with pytest.raises(TrainingFailed, match="not finite"):
        train(quick(LORA, patience=None), data, 0, Alone())


def without_contents(data: TrainingData) -> tuple[Recipe, TrainingData]:
    return LORA, replace(data, contents=())


def of_another_width(data: TrainingData) -> tuple[Recipe, TrainingData]:
    return LORA, replace(data, features=data.features[:, :5].copy())


def on_no_base_model(data: TrainingData) -> tuple[Recipe, TrainingData]:
    return text_lora("acme/none"), data


def with_layers_that_are_not(data: TrainingData) -> tuple[Recipe, TrainingData]:
    assert isinstance(LORA.head, TunedEncoder)
    base = replace(LORA.head.base, targets=("third_eye",))
    return quick(LORA, base=base), data


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without_contents, "its rows have no contents"),
        (of_another_width, "gives 64 features, the rows have 5"),
        (on_no_base_model, "base model acme/none cannot be loaded"),
        (with_layers_that_are_not, "has no layers third_eye to adapt"),
    ],
)
def test_what_cannot_be_tuned_is_a_clear_failure(
    change: Callable[[TrainingData], tuple[Recipe, TrainingData]], reason: str
) -> None:
    recipe, data = change(rows(16))

    with pytest.raises(TrainingFailed, match=reason):
        train(recipe, data, 0, Alone())


@pytest.fixture(scope="module")
def stored(hub: object) -> bytes:
    del hub
    return tuned(quick(LORA, epochs=1), rows(32)).save()


def declared(content: bytes, **changes: object) -> bytes:
    """Return a model file whose metadata says something else of the same tensors."""
    length = int.from_bytes(content[:8], "little")
    fields = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][FORMAT])
    fields["base"].update(changes)
    return save_tensors(load_tensors(content), {FORMAT: json.dumps(fields)})


def with_infinity(content: bytes) -> bytes:
    tensors = load_tensors(content)
    tensors["scale"] = torch.tensor(float("inf"))
    length = int.from_bytes(content[:8], "little")
    return save_tensors(tensors, json.loads(content[8 : 8 + length])["__metadata__"])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-7], "corrupt"),
        (lambda _: b"\x80\x04pickle", "not a safetensors file"),
        (with_infinity, "not finite"),
        (lambda content: declared(content, rank=4), "not those of acme/tiny-bert tuned"),
        (lambda content: declared(content, targets=["query"]), "not those of acme/tiny-bert"),
        (lambda content: declared(content, targets=["third_eye"]), "not those of acme/tiny-bert"),
        (lambda content: declared(content, rank=0), "declares no architecture"),
        (lambda content: declared(content, rank=10**9), "declares no architecture"),
        (lambda content: declared(content, inputs="features"), "declares no architecture"),
        (lambda content: declared(content, model=7), "declares no architecture"),
        (lambda content: declared(content, targets=[7]), "declares no architecture"),
        (lambda content: declared(content, code="import os"), "declares no architecture"),
    ],
)
def test_a_bad_file_is_no_model(
    stored: bytes, damage: Callable[[bytes], bytes], reason: str
) -> None:
    with pytest.raises(ModelUnusable, match=reason) as refused:
        TunedModel.load(damage(stored), backbone(), "line version 3")
    assert refused.value.model == "line version 3"


def test_a_head_is_no_tuned_encoder() -> None:
    head = fit(text_head(), rows(32), seed=0).save()

    with pytest.raises(ModelUnusable, match="it is a linear, no tuned encoder"):
        TunedModel.load(head, backbone())
