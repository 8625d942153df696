"""One label now, asked for by OpenAI's own client."""

import json
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from tests.unit.gateway.lines import add_line
from tests.unit.gateway.test_openai import client_of
from tests.unit.gateway.world import World


@pytest.fixture
def client(world: World) -> OpenAI:
    add_line(world, "texts", "text", "fake")
    add_line(world, "images", "image", "resnet")
    return client_of(world)


def schema_of(labels: list[str]) -> Any:
    label = {"type": "string", "enum": labels}
    return {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object", "properties": {"kind": label}}},
    }


def test_a_completion_says_what_the_native_route_says(world: World, client: OpenAI) -> None:
    native = world.post(
        "/v1/models/texts/predictions", {"items": [{"id": "a", "text": "it purrs"}]}
    ).json()["predictions"][0]
    messages: Any = [
        {"role": "system", "content": "Which animal?"},
        {"role": "user", "content": "it purrs"},
    ]
    plain = client.chat.completions.create(model="texts", messages=messages)
    in_json = client.chat.completions.create(
        model="texts", messages=messages, response_format=schema_of(["owl", "dog", "cat"])
    )
    assert plain.choices[0].message.content == native["label"]
    assert json.loads(in_json.choices[0].message.content or "") == {"kind": native["label"]}
    assert plain.model_dump()["muster"] == {
        "label": native["label"],
        "probability": native["probability"],
        "probabilities": native["probabilities"],
        "decided_by": "model",
        "model_version": 0,
    }


@pytest.mark.parametrize(
    ("changes", "param", "reason"),
    [
        ({"model": ""}, "model", "must name a model line"),
        ({"n": 2}, "n", "must be 1"),
        ({"messages": []}, "messages", "must be a list"),
        ({"response_format": schema_of(["a", "b"])}, "response_format", "names other labels"),
        ({"model": "images"}, "items.0", "takes images"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "cannot be used"),
    ],
)
def test_what_is_no_classification_is_refused(
    client: OpenAI, changes: dict[str, Any], param: str, reason: str
) -> None:
    asked = {"model": "texts", "messages": [{"role": "user", "content": "x"}], **changes}
    with pytest.raises(BadRequestError, match=reason) as refused:
        client.chat.completions.create(**asked)
    assert refused.value.param == param


def test_streams_are_refused(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="stream: cannot be used here"):
        client.chat.completions.create(
            model="texts", messages=[{"role": "user", "content": "x"}], stream=True
        )


@pytest.mark.usefixtures("client")
def test_lines_of_others_do_not_exist(world: World) -> None:
    with pytest.raises(NotFoundError):
        client_of(world, "umbrella").chat.completions.create(
            model="texts", messages=[{"role": "user", "content": "x"}]
        )
