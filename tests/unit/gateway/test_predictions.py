"""A few labels at once: by the live version, for the tenant's own lines, within bounds."""

from base64 import b64encode

import pytest

from cluster.domain.items import Modality
from cluster.domain.models import ZERO_SHOT
from serve_apps.gateway.schemas.predictions import ITEMS_MAX
from serve_apps.prelabel.fake import POISON
from serve_apps.prelabel.image import sample_png
from tests.unit.gateway.lines import add_line
from tests.unit.gateway.world import World, problem

LINES: tuple[tuple[str, Modality, str], ...] = (
    ("texts", "text", "fake"),
    ("images", "image", "resnet"),
)
URL = "/v1/models/texts/predictions"


@pytest.fixture(autouse=True)
def lines(world: World) -> None:
    """Two lines of acme, both at their zero-shot version."""
    for name, modality, base_model in LINES:
        add_line(world, name, modality, base_model)


def test_predictions_come_in_the_order_of_the_items_with_their_version(world: World) -> None:
    items = [{"id": f"i{number}", "text": f"text {number}"} for number in range(5)]

    reply = world.post(URL, {"items": items}).json()

    assert (reply["model"], reply["model_version"]) == ("texts", ZERO_SHOT)
    assert [found["id"] for found in reply["predictions"]] == [f"i{number}" for number in range(5)]
    for found in reply["predictions"]:
        assert set(found["probabilities"]) == {"cat", "dog", "owl"}
        assert found["probability"] == max(found["probabilities"].values())
        assert found["probabilities"][found["label"]] == found["probability"]
        assert sum(found["probabilities"].values()) == pytest.approx(1.0)


def test_an_item_the_model_fails_on_does_not_harm_the_others(world: World) -> None:
    items = [{"id": "sound", "text": "a text"}, {"id": "poison", "text": POISON}]

    sound, poison = world.post(URL, {"items": items}).json()["predictions"]

    assert sound["probability"] >= 0.5
    assert list(poison["probabilities"].values()) == [pytest.approx(1 / 3)] * 3


def test_images_are_sent_in_base64(world: World) -> None:
    image = b64encode(sample_png()).decode()

    reply = world.post("/v1/models/images/predictions", {"items": [{"id": 1, "image": image}]})

    assert reply.json()["predictions"][0]["id"] == "1"


@pytest.mark.parametrize(
    ("line", "item", "reason"),
    [
        ("texts", {"id": "a", "image": "aGk="}, "takes texts"),
        ("texts", {"id": "a"}, "takes texts"),
        ("images", {"id": "a", "text": "hi"}, "takes images"),
        ("images", {"id": "a", "image": "%"}, "neither base64 nor a URI"),
        ("images", {"id": "a", "image": "aGk="}, "is not a PNG"),
        ("images", {"id": "a", "image": "http://10.0.0.1/x.png"}, "for URIs there are jobs"),
    ],
)
def test_an_item_the_model_cannot_take_is_named(
    world: World, line: str, item: dict[str, str], reason: str
) -> None:
    good = {"id": "b", "text": "x"} if line == "texts" else {"id": "b", "image": _png()}

    reply = world.post(f"/v1/models/{line}/predictions", {"items": [good, item]})

    refused = problem(reply, 422, "invalid-field")
    assert reason in refused.detail
    assert "items.1" in refused.detail


def test_requests_are_bounded(world: World) -> None:
    items = [{"id": str(number), "text": "x"} for number in range(ITEMS_MAX + 1)]

    for given in (items, []):
        refused = problem(world.post(URL, {"items": given}), 422, "invalid-request")
        assert [error.pointer for error in refused.errors] == ["#/items"]


def test_nobody_reaches_the_lines_of_others(world: World) -> None:
    body = {"items": [{"id": "a", "text": "x"}]}

    theirs = problem(world.post(URL, body, tenant="umbrella"), 404, "model-not-found")
    nobodys = problem(world.post("/v1/models/unknown/predictions", body), 404, "model-not-found")
    assert theirs.detail == nobodys.detail.replace("unknown", "texts")
    assert problem(world.post(URL, body, "worker"), 403, "wrong-role").detail


def _png() -> str:
    return b64encode(sample_png()).decode()
