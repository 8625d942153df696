"""Labels of a few items at once, whatever protocol asks for them."""

from collections.abc import Callable, Mapping, Sequence

from starlette.concurrency import run_in_threadpool

from cluster.domain.items import Modality
from cluster.domain.models import ModelSpec
from cluster.domain.pairs import SEPARATOR, joined
from cluster.errors import ForbiddenUri, InvalidField, TooLarge
from cluster.settings import Limits
from ingest.images import check_image, image_bytes
from ingest.rows import Problem
from serve_apps.gateway.schemas.job_request import CONTENT_FIELDS, ItemBody
from serve_apps.gateway.schemas.predictions import PredictionList, PredictionView
from serve_apps.gateway.services import Services
from serve_apps.gateway.versions import Resolved
from serve_apps.prelabel.model import Content, Probabilities


async def predicted(
    name: str, versions: Resolved, items: Sequence[ItemBody], services: Services
) -> PredictionList:
    """Return labels of items, all by one version of a line, ahead of bulk work.

    The version on the answer is the one the replica says it has asked. Raises InvalidField or
    TooLarge, which name the item by its place.
    """
    spec, limits = versions.live, services.settings.limits
    contents = await run_in_threadpool(_contents, items, spec.modality, limits)
    answer = await services.trials.answer(versions, contents)
    return PredictionList(
        model=name,
        model_version=answer.version,
        predictions=_views(items, spec, answer.probabilities),
    )


def _contents(items: Sequence[ItemBody], modality: Modality, limits: Limits) -> list[Content]:
    read: Mapping[Modality, Callable[[ItemBody, str, Limits], Content]] = {
        "text": _text,
        "image": _image,
        "text_pair": _pair,
    }
    return [read[modality](item, f"items.{index}", limits) for index, item in enumerate(items)]


def _text(item: ItemBody, field: str, limits: Limits) -> str:
    if item.text is None or item.contents != CONTENT_FIELDS["text"]:
        raise InvalidField(field, "the model takes texts: give `text` and nothing else")
    return _within(item.text, f"{field}.text", limits)


def _pair(item: ItemBody, field: str, limits: Limits) -> str:
    first, second = item.text, item.text_pair
    if first is None or second is None or item.contents != CONTENT_FIELDS["text_pair"]:
        reason = "the model takes pairs of texts: give `text` and `text_pair` and nothing else"
        raise InvalidField(field, reason)
    sides = ((first, f"{field}.text"), (second, f"{field}.text_pair"))
    for text, name in sides:
        if SEPARATOR in _within(text, name, limits):
            raise InvalidField(name, "holds U+001F, which no text of a pair may hold")
    return joined(first, second)


def _within(text: str, field: str, limits: Limits) -> str:
    size = len(text.encode())
    if size > limits.row_bytes_max:
        raise TooLarge(field, size, limits.row_bytes_max)
    return text


def _image(item: ItemBody, field: str, limits: Limits) -> bytes:
    if item.image is None or item.contents != CONTENT_FIELDS["image"]:
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
