"""The Serve config and the options of `ray start` in the RayService, as Ray itself reads them."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError
from ray.scripts.scripts import start
from ray.serve.schema import ServeDeploySchema

from tests.infra.manifests import FREE_MAPS, Document, mistakes, serve_config

pytestmark = pytest.mark.ray


def test_the_serve_config_is_one_of_serves() -> None:
    assert serve_problems(serve_config()) == []


def test_a_typo_in_any_key_of_the_serve_config_is_found() -> None:
    assert mistakes(serve_config(), serve_problems) == []
    wrong = serve_config()
    wrong["applications"][0]["deployments"] = [{"name": "core", "max_ongoing_request": 5}]
    assert serve_problems(wrong) == [
        "applications.deployments.max_ongoing_request is unknown to Serve"
    ]


def test_what_nodes_are_started_with_are_options_of_ray_start() -> None:
    options = {name for parameter in start.params for name in parameter.opts}
    assert {f"--{name}" for name in FREE_MAPS["rayStartParams"]} <= options


def serve_problems(config: Document) -> list[str]:
    """Return what is wrong with a Serve config; Serve itself lets unknown keys pass."""
    try:
        ServeDeploySchema.model_validate(config)
    except ValidationError as error:
        return [str(error)]
    return list(_unknown(ServeDeploySchema, config))


def _unknown(model: type[BaseModel], value: Document, where: str = "") -> Iterator[str]:
    for key, below in value.items():
        field = model.model_fields.get(key)
        if field is None:
            yield f"{where}{key} is unknown to Serve"
            continue
        inner = next((each for each in _models(field.annotation)), None)
        if inner is not None:
            for each in below if isinstance(below, list) else [below]:
                yield from _unknown(inner, each, f"{where}{key}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
