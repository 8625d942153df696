"""Labels of a few items at once, by the live version of a model line."""

from typing import Annotated

from pydantic import Field

from serve_apps.gateway.schemas.base import Incoming, Outgoing
from serve_apps.gateway.schemas.job_request import ItemBody

ITEMS_MAX = 256
"""Items of one request; for more there are jobs."""


class PredictionRequest(Incoming):
    """Items to label now; images as base64."""

    items: Annotated[list[ItemBody], Field(min_length=1, max_length=ITEMS_MAX)]


class PredictionView(Outgoing):
    """What the model believes of one item; labels without a word are equally likely."""

    id: str
    label: str
    probability: float
    probabilities: dict[str, float]


class PredictionList(Outgoing):
    """Predictions in the order of the items, all by one version."""

    model: str
    model_version: int
    predictions: tuple[PredictionView, ...]
