"""Recipes: functions that return a complete configuration; a variant changes some fields."""

from cluster.domain.items import Modality
from training.config import LinearHead, Recipe, ResNetHead


def text_head() -> Recipe:
    """Return a linear head on frozen encoder features: seconds of work, hard to overfit."""
    return Recipe(name="text_head", folds=5, head=LinearHead(), rows_per_worker_min=10_000)


def image_small() -> Recipe:
    """Return a small residual network on 32 x 32 pixels."""
    return Recipe(name="image_small", folds=3, head=ResNetHead(), rows_per_worker_min=100)


def recipe_for(modality: Modality, base_model: str) -> Recipe:
    """Return the recipe that suits what a job's base model hands out.

    The base model `resnet` hands out pixels; every other one is an encoder whose features a linear
    head separates.
    """
    if modality == "image" and base_model == "resnet":
        return image_small()
    return text_head()
