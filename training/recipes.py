"""Recipes: functions that return a complete configuration; a variant changes some fields."""

from cluster.domain.items import Modality
from cluster.domain.jobs import JobSpec, RecipeName
from training.config import MINILM, Base, LinearHead, Recipe, ResNetHead, TunedEncoder


def text_head() -> Recipe:
    """Return a linear head on frozen encoder features: seconds of work, hard to overfit."""
    return Recipe(name="text_head", folds=5, head=LinearHead(), rows_per_worker_min=10_000)


def image_small() -> Recipe:
    """Return a small residual network on 32 x 32 pixels."""
    return Recipe(name="image_small", folds=3, head=ResNetHead(), rows_per_worker_min=100)


def text_lora(base_model: str = MINILM) -> Recipe:
    """Return low-rank adapters in a text encoder: minutes of work, files of a few megabytes."""
    head = TunedEncoder(
        kind="lora",
        base=Base(model=base_model, inputs="texts", rank=8, alpha=16),
        epochs=4,
        learning_rate=3e-4,
        dropout=0.05,
        patience=1,
    )
    return Recipe(name="text_lora", folds=2, head=head, rows_per_worker_min=500)


def text_full(base_model: str = MINILM) -> Recipe:
    """Return a text encoder tuned as a whole, its table of words aside."""
    head = TunedEncoder(
        kind="full",
        base=Base(model=base_model, inputs="texts", frozen=("embeddings",)),
        epochs=4,
        learning_rate=3e-5,
        patience=1,
    )
    return Recipe(name="text_full", folds=2, head=head, rows_per_worker_min=500)


def image_lora(base_model: str) -> Recipe:
    """Return low-rank adapters in a vision encoder of the Hugging Face hub."""
    head = TunedEncoder(
        kind="lora",
        base=Base(model=base_model, inputs="images", rank=8, alpha=16),
        epochs=4,
        learning_rate=3e-4,
        dropout=0.05,
        patience=1,
        shift_pixels=8,
    )
    return Recipe(name="image_lora", folds=2, head=head, rows_per_worker_min=200)


def image_full(base_model: str) -> Recipe:
    """Return a vision encoder of the Hugging Face hub tuned as a whole."""
    head = TunedEncoder(
        kind="full",
        base=Base(model=base_model, inputs="images"),
        epochs=4,
        learning_rate=3e-5,
        patience=1,
        shift_pixels=8,
    )
    return Recipe(name="image_full", folds=2, head=head, rows_per_worker_min=200)


def recipe_for(modality: Modality, base_model: str, name: RecipeName = "auto") -> Recipe:
    """Return the recipe a job names, or the one that suits what its base model hands out.

    The base model `resnet` hands out pixels, for which there is one recipe; every other one is an
    encoder whose features a linear head separates in seconds.
    """
    if modality == "image" and base_model == "resnet":
        return image_small()
    if name == "lora":
        return text_lora(base_model) if modality == "text" else image_lora(base_model)
    if name == "full":
        return text_full(base_model) if modality == "text" else image_full(base_model)
    return text_head()


def recipe_of(spec: JobSpec) -> Recipe:
    """Return the recipe of a job."""
    return recipe_for(spec.modality, spec.base_model, spec.recipe)
