"""Labels of a few items at once, whatever protocol asks for them."""

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from cluster.domain.access import Caller
from cluster.domain.ids import ModelName
from cluster.domain.items import Modality
from cluster.domain.models import ModelRecord, ModelSpec
from cluster.errors import ForbiddenUri, InvalidField, ModelNotFound, TooLarge
from cluster.settings import Limits
from ingest.images import check_image, image_bytes
from ingest.rows import Problem
from serve_apps.gateway.schemas.job_request import ItemBody
from serve_apps.gateway.schemas.models import full_name
from serve_apps.gateway.schemas.predictions import PredictionList, PredictionView
from serve_apps.gateway.services import Services
from serve_apps.prelabel.model import Content, Probabilities


async def predicted(
    name: str, items: Sequence[ItemBody], caller: Caller, services: Services
) -> PredictionList:
    """Return labels of items by the live version of a line, ahead of bulk work.

    Raises ModelNotFound, and InvalidField or TooLarge, which name the item by its place.
    """
    spec = (await run_in_threadpool(live_version, name, caller, services)).spec
    contents = await run_in_threadpool(_contents, items, spec.modality, services.settings.limits)
    probabilities = await services.online.predict(contents, spec)
    return PredictionList(
        model=name,
        model_version=spec.version,
        predictions=_views(items, spec, probabilities),
    )


def live_version(name: str, caller: Caller, services: Services) -> ModelRecord:
    """Return the live version of a tenant's model line; raises ModelNotFound."""
    try:
        return services.stores.models.live(full_name(caller.tenant_id, name))
    except ModelNotFound as error:
        raise ModelNotFound(ModelName(name)) from error


def _contents(items: Sequence[ItemBody], modality: Modality, limits: Limits) -> list[Content]:
    return [
        _text(item, f"items.{index}", limits)
        if modality == "text"
        else _image(item, f"items.{index}", limits)
        for index, item in enumerate(items)
    ]


def _text(item: ItemBody, field: str, limits: Limits) -> str:
    if item.text is None or item.image is not None:
        raise InvalidField(field, "the model takes texts: give `text` and nothing else")
    size = len(item.text.encode())
    if size > limits.row_bytes_max:
        raise TooLarge(f"{field}.text", size, limits.row_bytes_max)
    return item.text


def _image(item: ItemBody, field: str, limits: Limits) -> bytes:
    if item.image is None or item.text is not None:
        raise InvalidField(field, "the model takes images: give `image` and nothing else")
    content = image_bytes(item.image, f"{field}.image", limits.image_bytes_max, _no_uri)
    if isinstance(content, Problem):
        raise InvalidField(f"{field}.image", content.detail)
    problem = check_image(content, f"{field}.image", limits.image_pixels_max)
    if problem is not None:
        raise InvalidField(f"{field}.image", problem.detail)
    return content


def _no_uri(uri: str) -> bytes:
    raise ForbiddenUri(uri, "send the image itself, in base64; for URIs there are jobs")


def _views(
    items: Sequence[ItemBody], spec: ModelSpec, probabilities: Probabilities
) -> tuple[PredictionView, ...]:
    names = spec.label_set.names
    best = probabilities.argmax(axis=1).tolist()
    return tuple(
        PredictionView(
            id=str(item.id),
            label=names[code],
            probability=row[code],
            probabilities=dict(zip(names, row, strict=True)),
        )
        for item, code, row in zip(items, best, probabilities.tolist(), strict=True)
    )
