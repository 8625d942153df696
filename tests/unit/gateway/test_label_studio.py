"""Requests as Label Studio sends them to a machine learning backend, and what it must get back.

Their shapes are those of `label_studio/ml/api_connector.py` in github.com/HumanSignal/label-studio,
which no package on PyPI has without all of Label Studio (its SDK calls Label Studio, never a
backend): at the commits that `SHAPES` names, and in a later form, with `extra_params` and without
`model_version`. What is read of answers is in `label_studio/ml/models.py` there.
"""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response

from cluster.ports import Stores
from cluster.settings import Limits
from serve_apps.gateway.schemas.predictions import ITEMS_MAX
from serve_apps.prelabel.image import sample_png
from tests.unit.gateway.lines import add_line
from tests.unit.gateway.world import World

TEXTS = """<View>
  <Header value="What is it about?"/>
  <Text name="ticket" value="$body"/>
  <Choices name="animal" toName="ticket" choice="single" showInLine="true">
    <Choice value="cat"/><Choice value="Dog" alias="dog"/>
    <View><Choice value="owl"/><Choice value="unsure"/></View>
  </Choices>
  <TextArea name="why" toName="ticket"/>
</View>"""
IMAGES = TEXTS.replace(
    '<Text name="ticket" value="$body"/>', '<Image name="ticket" value="$body"/>'
)


@pytest.fixture
def world(world: World) -> World:
    """A gateway with a line for texts and one for images."""
    add_line(world, "texts", "text", "fake")
    add_line(world, "images", "image", "resnet")
    return world


def call(
    world: World, path: str, body: object = None, tenant: str = "acme", **more: Any
) -> Response:
    """Call a backend as Label Studio does where a user and a password are given."""
    method = "GET" if body is None else "POST"
    auth = ("muster", world.key("client", tenant))
    return world.http.request(
        method, f"/label-studio/{path}", json=body, auth=more.pop("auth", auth), **more
    )


def asked(*contents: object, config: str = TEXTS) -> dict[str, object]:
    """Return a request for predictions with all that Label Studio puts into one."""
    return {
        "tasks": [
            {
                "id": 100 + number,
                "data": {"body": content, "meta": {"source": "mail"}},
                "created_at": "2026-11-21T10:00:00Z",
                "is_labeled": False,
                "predictions": [],
            }
            for number, content in enumerate(contents)
        ],
        "model_version": None,
        "project": "7.1763719200",
        "label_config": config,
        "params": {"login": None, "password": None, "context": None},
    }


def setup_of(config: str = TEXTS) -> dict[str, object]:
    return {
        "project": "7.1763719200",
        "schema": config,
        "hostname": "http://localhost:8080",
        "access_token": "a token",
        "extra_params": None,
    }


def test_a_backend_is_connected(world: World) -> None:
    for path in ("texts", "texts/", "texts/health"):
        assert call(world, path).json() == {"status": "UP", "model_class": "texts"}
    assert call(world, "texts/metrics").json() == {}
    assert call(world, "texts/setup", setup_of()).json() == {"model_version": "texts-v0"}


PROJECT = {"project": "7.1763719200"}
SHAPES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "5daa24b4467b6334a4807463d736caa8386a7086": (
        {**PROJECT, "schema": TEXTS},
        {"model_version": "texts-v0", "params": {"login": "", "password": ""}},
    ),
    "0f1d1f0549062603f796c9fba995242c69fb2c97": (
        {
            **PROJECT,
            "schema": TEXTS,
            "hostname": "http://localhost:8080",
            "access_token": "a token",
        },
        {
            "model_version": "texts-v0",
            "params": {"login": None, "password": None, "context": {"result": []}},
        },
    ),
    "later": (
        setup_of(),
        {"params": {"login": None, "password": None, "context": None}},
    ),
}
"""By commit: what is sent to connect a backend, and beside tasks and interface for predictions."""


@pytest.mark.parametrize("commit", SHAPES)
def test_every_version_of_label_studio_is_served(world: World, commit: str) -> None:
    connecting, beside = SHAPES[commit]
    assert call(world, "texts/setup", connecting).json() == {"model_version": "texts-v0"}
    task = {"id": 1, "data": {"body": "it purrs"}, "meta": {}, "overlap": 1, "is_labeled": False}
    body = {"tasks": [task], **PROJECT, "label_config": TEXTS, **beside}
    (found,) = call(world, "texts/predict", body).json()["results"]
    assert found["result"][0]["value"]["choices"][0] in ("cat", "dog", "owl")


def test_every_task_gets_its_prediction(stores: Stores, tmp_path: Path) -> None:
    # Given more tasks than one online request takes
    world = World.of(stores, tmp_path, Limits())
    add_line(world, "texts", "text", "fake")
    texts = [f"text {number}" for number in range(ITEMS_MAX + 3)]
    # When they are asked about
    results = call(world, "texts/predict", asked(*texts)).json()["results"]
    # Then each has what the native route says of it, in the words of the interface
    native = world.post(
        "/v1/models/texts/predictions",
        {"items": [{"id": text, "text": text} for text in texts[:ITEMS_MAX]]},
    ).json()["predictions"]
    assert len(results) == len(texts)
    for result, expected in zip(results, native, strict=False):
        assert result == {
            "result": [
                {
                    "id": result["result"][0]["id"],
                    "from_name": "animal",
                    "to_name": "ticket",
                    "type": "choices",
                    "value": {"choices": [expected["label"]]},
                    "score": expected["probability"],
                }
            ],
            "score": expected["probability"],
            "model_version": "texts-v0",
        }
    assert call(world, "texts/predict", asked()).json() == {"results": []}


def test_images_come_as_data_uris(world: World) -> None:
    image = f"data:image/png;base64,{b64encode(sample_png()).decode()}"
    body = asked(image, config=IMAGES)
    (result,) = call(world, "images/predict", body).json()["results"]
    assert result["result"][0]["value"]["choices"][0] in ("cat", "dog", "owl")
    for elsewhere in ("http://10.0.0.1/x.png", "/data/upload/1/x.png", "file:///etc/passwd"):
        refused = call(world, "images/predict", asked(image, elsewhere, config=IMAGES))
        assert refused.status_code == 422
        assert "task 101 must be a data: URI" in refused.json()["error"]


@pytest.mark.parametrize("event", ["CREATED", "UPDATED", "DELETED"])
def test_an_annotation_is_noted_and_not_taken_for_an_answer(world: World, event: str) -> None:
    body = {
        "action": f"ANNOTATION_{event}",
        "project": {"id": 7, "label_config": TEXTS},
        "task": {"id": 100, "data": {"body": "x"}},
        "annotation": {"id": 1, "result": [], "completed_by": {"id": 1}},
    }
    response = call(world, "texts/webhook", body)
    assert response.status_code == 201
    assert response.json() == {"result": {"stored": False}, "status": "ok"}


def test_other_events_are_answered_as_unknown(world: World) -> None:
    response = call(world, "texts/webhook", {"action": "PROJECT_UPDATED", "project": {"id": 7}})
    assert (response.status_code, response.json()) == (200, {"status": "Unknown event"})


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    '<View><Header value="&b;"/></View>'
)
CONTROL = '<Choices name="animal" toName="ticket" choice="single" showInLine="true">'
CONFIGS: dict[str, tuple[str, str]] = {
    "no XML": ("<View>", "is not XML"),
    "a bomb": (BOMB, "is not XML"),
    "no control": ("<View/>", "exactly one control"),
    "many labels": (TEXTS.replace('"single"', '"multiple"'), "exactly one control"),
    "an image": (IMAGES, "which the model takes"),
    "two controls": (TEXTS.replace("</View>", f"{CONTROL}</Choices></View>"), "exactly one"),
    "texts elsewhere": (TEXTS.replace("<Text ", '<Text valueType="url" '), "is not fetched"),
    "a label less": (TEXTS.replace('value="cat"', 'value="cow"'), "has no choice 'cat'"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_an_interface_that_does_not_fit_is_refused(world: World, case: str) -> None:
    config, reason = CONFIGS[case]
    for field, response in (
        ("schema", call(world, "texts/setup", setup_of(config))),
        ("label_config", call(world, "texts/predict", asked("x", config=config))),
    ):
        assert response.status_code == 422
        assert response.json()["error"].startswith(f"{field}: ")
        assert reason in response.json()["error"]


@pytest.mark.parametrize("content", [None, 5, ["a"], "", " \n"])
def test_a_task_without_a_text_costs_no_other(world: World, content: object) -> None:
    # Given tasks of which some have no text, among others
    results = call(world, "texts/predict", asked("x", content, "y", content)).json()["results"]
    # Then these are predicted to be nothing, and the others as they would be alone
    nothing = {"result": [], "score": 0.0, "model_version": "texts-v0"}
    assert [results[1], results[3]] == [nothing, nothing]
    alone = call(world, "texts/predict", asked("x", "y")).json()["results"]
    labels = [found["result"][0]["value"] for found in (results[0], results[2])]
    assert labels == [found["result"][0]["value"] for found in alone]
    # And where no task has one, nothing is asked of the model
    assert call(world, "texts/predict", asked(content)).json()["results"] == [nothing]


def test_the_key_is_the_password_or_a_bearer(world: World) -> None:
    key = world.key("client")
    bearer = world.http.get(
        "/label-studio/texts/health", headers={"Authorization": f"Bearer {key}"}
    )
    assert bearer.status_code == 200
    for wrong in (("muster", f"{key}x"), (key, "")):
        refused = call(world, "texts/health", auth=wrong)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Basic realm="muster"'
        assert list(refused.json()) == ["error"]
    assert call(world, "texts/health", auth=("a:b", key)).status_code == 401
    broken = world.http.get("/label-studio/texts/health", headers={"Authorization": "Basic %"})
    assert broken.status_code == 401
    # The native API takes no passwords
    assert world.http.get("/v1/models", auth=("muster", key)).status_code == 401
    # And lines of others do not exist
    stranger = call(world, "texts/health", tenant="umbrella")
    assert (stranger.status_code, json.loads(stranger.text)) == (
        404,
        {"error": "there is no model texts"},
    )
