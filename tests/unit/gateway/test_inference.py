"""Triton's own client calls model lines by the Open Inference Protocol 2."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from serve_apps.gateway.schemas.predictions import ITEMS_MAX
from serve_apps.prelabel.image import sample_png
from tests.unit.gateway.lines import add_line
from tests.unit.gateway.serving import serving
from tests.unit.gateway.world import World

URL = "/inference/v2/models/texts/infer"


@pytest.fixture(autouse=True)
def lines(world: World) -> None:
    add_line(world, "texts", "text", "fake")
    add_line(world, "images", "image", "resnet")


@pytest.fixture
def triton(world: World) -> Iterator[InferenceServerClient]:
    with serving(world.http.app) as url:
        client = InferenceServerClient(f"{url.removeprefix('http://')}/inference")
        yield client
        client.close()


def key(world: World, tenant: str = "acme") -> dict[str, str]:
    return {"Authorization": f"Bearer {world.key('client', tenant)}"}


def tensor(values: list[Any], *, binary: bool, name: str = "text") -> InferInput:
    found = InferInput(name, [len(values)], "BYTES")
    found.set_data_from_numpy(np.array(values, dtype=object), binary_data=binary)
    return found


def native(world: World, line: str, items: list[dict[str, object]]) -> list[dict[str, Any]]:
    reply = world.post(f"/v1/models/{line}/predictions", {"items": items}).json()
    predictions: list[dict[str, Any]] = reply["predictions"]
    return predictions


def test_the_service_and_its_models_tell_of_themselves(
    world: World, triton: InferenceServerClient
) -> None:
    headers = key(world)
    assert triton.is_server_live(headers=headers)
    assert triton.is_server_ready(headers=headers)
    assert triton.get_server_metadata(headers=headers)["name"] == "muster"
    assert triton.is_model_ready("texts", headers=headers)
    assert triton.is_model_ready("texts", "0", headers=headers)
    for line, version in (("texts", "1"), ("nothing", "")):
        assert not triton.is_model_ready(line, version, headers=headers)
    found = triton.get_model_metadata("texts", "0", headers=headers)
    assert found["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert found["outputs"][2] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}
    assert found["parameters"] == {"labels": ["cat", "dog", "owl"]}


@pytest.mark.parametrize("binary", [True, False])
def test_texts_are_labelled_as_by_the_native_route(
    world: World, triton: InferenceServerClient, *, binary: bool
) -> None:
    # Given texts, one of them not ASCII
    texts = ["a text", "späť", "another"]
    expected = native(world, "texts", [{"id": "x", "text": text} for text in texts])
    # When they are sent as JSON, or as bytes behind it
    inputs = [tensor([text.encode() for text in texts], binary=binary)]
    found = triton.infer("texts", inputs, request_id="r-1", headers=key(world))
    # Then labels, scores and probabilities are those of the native route
    assert found.as_numpy("label").tolist() == [each["label"] for each in expected]
    assert found.as_numpy("score") == pytest.approx([each["probability"] for each in expected])
    probabilities = [list(each["probabilities"].values()) for each in expected]
    assert found.as_numpy("probabilities") == pytest.approx(np.array(probabilities))
    response = found.get_response()
    assert (response["model_name"], response["model_version"], response["id"]) == (
        "texts",
        "0",
        "r-1",
    )


def test_images_are_sent_as_bytes_and_outputs_may_be_chosen(
    world: World, triton: InferenceServerClient
) -> None:
    inputs = [tensor([sample_png()], binary=True, name="image")]
    outputs = [InferRequestedOutput("label", binary_data=False)]
    found = triton.infer("images", inputs, "0", outputs, headers=key(world))
    assert [each["name"] for each in found.get_response()["outputs"]] == ["label"]


def test_errors_come_as_the_client_knows_them(world: World, triton: InferenceServerClient) -> None:
    inputs = [tensor([b"x"], binary=True)]
    with pytest.raises(InferenceServerException, match="there is no model texts version 7"):
        triton.infer("texts", inputs, "7", headers=key(world))
    with pytest.raises(InferenceServerException, match="there is no model texts"):
        triton.infer("texts", inputs, headers=key(world, "umbrella"))
    with pytest.raises(InferenceServerException, match="send a valid API key"):
        triton.infer("texts", inputs)
    with pytest.raises(InferenceServerException, match="the limit is 256"):
        triton.infer("texts", [tensor([b"x"] * (ITEMS_MAX + 1), binary=True)], headers=key(world))
    with pytest.raises(InferenceServerException, match="must be text"):
        triton.infer("texts", [tensor([b"x"], binary=True, name="image")], headers=key(world))
    with pytest.raises(InferenceServerException, match="not UTF-8"):
        triton.infer("texts", [tensor([b"\xff"], binary=True)], headers=key(world))


def asked(**changes: object) -> bytes:
    given = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["x"], **changes}
    return json.dumps({"inputs": [given]}).encode()


BINARY = asked(data=None, parameters={"binary_data_size": 5})
WRONG: dict[str, tuple[bytes, str | None, int, str]] = {
    "no JSON": (b"{", None, 400, "not JSON"),
    "no inputs": (b'{"inputs": []}', None, 422, "#/inputs"),
    "two inputs": (b'{"inputs": [{}, {}]}', None, 422, "#/inputs"),
    "numbers": (asked(datatype="FP32", data=[1.0]), None, 422, "datatype"),
    "another shape": (asked(shape=[2]), None, 422, "says 2 values; there are 1"),
    "no values": (asked(shape=[0], data=[]), None, 422, "says 0 values"),
    "vast shape": (asked(shape=[2**40, 2**40]), None, 413, "the limit is 256"),
    "no data": (asked(data=None), None, 422, "binary_data_size"),
    "odd header": (BINARY, "x", 422, "is not a number"),
    "too few bytes": (BINARY + b"\1", str(len(BINARY)), 422, "1 bytes follow"),
    "lying length": (BINARY + b"\xff\0\0\0x", str(len(BINARY)), 422, "beyond its bytes"),
    "unknown output": (
        asked()[:-1] + b', "outputs": [{"name": "embedding"}]}',
        None,
        422,
        "outputs/0/name",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_broken_request_is_refused(world: World, case: str) -> None:
    body, header_length, status, reason = WRONG[case]
    headers = {} if header_length is None else {"Inference-Header-Content-Length": header_length}
    response = world.call("POST", URL, "client", content=body, headers=headers)
    assert (response.status_code, list(response.json())) == (status, ["error"]), response.text
    assert reason in response.json()["error"]


def test_values_may_stand_in_a_column(world: World) -> None:
    body = asked(shape=[2, 1], data=[["a"], ["b"]])
    response = world.call("POST", URL, "client", content=body)
    assert response.json()["outputs"][0]["shape"] == [2]
