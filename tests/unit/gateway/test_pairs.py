"""Jobs of text pairs at every door: submitted, shown to workers, predicted, exported, refused."""

import json
from typing import Any

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput

from cluster.domain.ids import JobId, Position
from cluster.domain.pairs import joined
from ingest.openai_batch import ENDPOINT
from serve_apps.gateway.schemas.predictions import ITEMS_MAX
from tests.unit.gateway.lines import add_line
from tests.unit.gateway.running import run_job
from tests.unit.gateway.serving import serving
from tests.unit.gateway.test_label_studio import TEXTS as LABEL_STUDIO_TEXTS
from tests.unit.gateway.world import LIMITS, World, job_body, problem

URL = "/v1/models/pairs/predictions"
ITEMS = [{"id": f"i{n}", "text": f"text {n}", "text_pair": f"other {n}"} for n in range(3)]
ROWS = [("it rains", "it is wet", "yes"), ("it rains", "it is dry", "no"), ("a, b", "c", "yes")]


@pytest.fixture(autouse=True)
def line(world: World) -> None:
    add_line(world, "pairs", "text_pair", "fake")


def pairs_body(**changes: object) -> dict[str, object]:
    return job_body(**{"modality": "text_pair", "items": ITEMS, **changes})


def test_a_job_over_a_csv_of_pairs_from_upload_to_export(world: World) -> None:
    # Given a CSV of pairs under names of its own, one row of them wrong
    lines = ["premise,hypothesis,key"]
    lines += [f'"{one}","{two}",k{number}' for number, (one, two, _) in enumerate(ROWS)]
    lines += ["only one side,,bad"]
    upload = world.call("POST", "/v1/uploads", "client", content="\n".join(lines).encode())
    body = pairs_body(
        items=None,
        upload_id=upload.json()["id"],
        format="csv",
        id_field="key",
        content_field="premise",
        pair_field="hypothesis",
        labels=["yes", "no"],
        base_model="minilm",
        crowd={"audit_share": 0, "audit_items_min": 0},
    )
    job_id = world.post("/v1/jobs", body).json()["id"]
    workers = [world.worker(name) for name in ("ann", "bob", "eve", "joe", "sue")]
    shown: set[tuple[str, str]] = set()

    def crowd_answers() -> None:
        truth = {(one, two): label for one, two, label in ROWS}
        for worker in workers:
            claimed = world.post(f"/v1/workers/{worker}/claims", {"count": 8}, "worker").json()
            items = [
                (each["item"]["text"], each["item"]["text_pair"]) for each in claimed["offers"]
            ]
            shown.update(items)
            answers = [
                {"token": offer["token"], "label": truth[item]}
                for offer, item in zip(claimed["offers"], items, strict=True)
            ]
            if answers:
                world.post(f"/v1/workers/{worker}/answers", {"answers": answers}, "worker")

    # When the job runs to its end with a crowd that reads both texts
    ended = run_job(world, job_id, meanwhile=crowd_answers)
    # Then workers saw every pair as two fields, and the labels are theirs
    assert shown == {(one, two) for one, two, _ in ROWS}
    results = world.get(f"/v1/jobs/{job_id}/results").json()["results"]
    newest = {each["item_id"]: each["label"] for each in results}
    assert newest == {f"k{n}": label for n, (_, _, label) in enumerate(ROWS)}
    assert (ended.progress.items, ended.progress.rejected) == (3, 1)
    (error,) = world.get(f"/v1/jobs/{job_id}/errors").text.splitlines()
    assert json.loads(error)["field"] == "hypothesis"
    export = world.get(f"/v1/jobs/{job_id}/export?format=jsonl").text.splitlines()
    assert {json.loads(row)["item_id"] for row in export} == set(newest)


def test_inline_pairs_become_items_of_one_content_each(world: World) -> None:
    body = pairs_body(base_model="fake", budget={"answers_max": 0})
    job_id = world.post("/v1/jobs", body).json()["id"]
    run_job(world, job_id)
    found = world.services.items.fetch(JobId(job_id), [Position(0), Position(2)])
    assert [item.content for item in found] == [
        joined("text 0", "other 0"),
        joined("text 2", "other 2"),
    ]
    assert world.stores.jobs.load(JobId(job_id)).model_name.startswith("acme/text_pair-fake-")


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"items": [{"id": 1, "text": "a"}]}, "items.0.text_pair", "is missing"),
        ({"items": [{"id": 1, "text_pair": "a"}]}, "items.0.text", "is missing"),
        (
            {"items": [{"id": 1, "text": "a", "text_pair": "b", "image": "QQ=="}]},
            "items.0.image",
            "does not fit a job of text pairs",
        ),
        ({"modality": "text"}, "items.0.text_pair", "does not fit a job of texts"),
        ({"base_model": "resnet"}, "base_model", "resnet does not take text pairs"),
        ({"modality": "text", "pair_field": "b"}, "pair_field", "is for jobs of text pairs"),
        ({"pair_field": "text"}, "pair_field", "names the field of the first text"),
    ],
)
def test_a_request_that_does_not_fit_is_refused(
    world: World, changes: dict[str, Any], field: str, reason: str
) -> None:
    refused = problem(world.post("/v1/jobs", pairs_body(**changes)), 422, "invalid-field")
    assert f"{field} {reason}" in refused.detail.replace(":", "")


@pytest.mark.parametrize("file_format", ["openai-batch", "manifest"])
def test_formats_with_one_text_a_line_hold_no_pairs(world: World, file_format: str) -> None:
    upload = world.call("POST", "/v1/uploads", "client", content=b"{}").json()["id"]
    body = pairs_body(items=None, upload_id=upload, format=file_format)
    assert "modality" in problem(world.post("/v1/jobs", body), 422, "invalid-field").detail


def test_predictions_take_both_texts(world: World) -> None:
    reply = world.post(URL, {"items": ITEMS}).json()
    assert [each["id"] for each in reply["predictions"]] == ["i0", "i1", "i2"]
    turned = [{**each, "text": each["text_pair"], "text_pair": each["text"]} for each in ITEMS]
    assert world.post(URL, {"items": turned}).json()["predictions"] != reply["predictions"]


@pytest.mark.parametrize(
    ("item", "status", "slug", "reason"),
    [
        ({"text": "a"}, 422, "invalid-field", "takes pairs of texts"),
        ({"text_pair": "a"}, 422, "invalid-field", "takes pairs of texts"),
        ({"text": "a", "text_pair": "b", "image": "QQ=="}, 422, "invalid-field", "takes pairs"),
        ({"text": "a", "text_pair": "b\x1f"}, 422, "invalid-field", "items.1.text_pair"),
        (
            {"text": "a", "text_pair": "b" * (LIMITS.row_bytes_max + 1)},
            413,
            "too-large",
            "request body",
        ),
    ],
)
def test_an_item_that_is_no_pair_is_named(
    world: World, item: dict[str, str], status: int, slug: str, reason: str
) -> None:
    reply = world.post(URL, {"items": [ITEMS[0], {"id": "bad", **item}]})
    assert reason in problem(reply, status, slug).detail


def tensor(name: str, values: list[str], *, binary: bool) -> InferInput:
    found = InferInput(name, [len(values)], "BYTES")
    found.set_data_from_numpy(np.array([v.encode() for v in values], object), binary_data=binary)
    return found


@pytest.mark.parametrize("binary", [True, False])
def test_triton_sends_two_tensors(world: World, *, binary: bool) -> None:
    # Given what the native route says of pairs
    native = world.post(URL, {"items": ITEMS}).json()["predictions"]
    headers = {"Authorization": f"Bearer {world.key('client')}"}
    columns = {name: [each[name] for each in ITEMS] for name in ("text_pair", "text")}
    with serving(world.http.app) as url:
        client = InferenceServerClient(f"{url.removeprefix('http://')}/inference")
        # When they are sent as tensors, in any order
        described = client.get_model_metadata("pairs", headers=headers)
        inputs = [tensor(name, values, binary=binary) for name, values in columns.items()]
        found = client.infer("pairs", inputs, headers=headers).as_numpy("label").tolist()
        client.close()
    # Then labels are the same, and the model tells what it takes
    assert found == [each["label"] for each in native]
    assert [each["name"] for each in described["inputs"]] == ["text", "text_pair"]


def test_tensors_that_make_no_pairs_are_refused(world: World) -> None:
    def infer(*given: tuple[str, list[str]]) -> str:
        inputs = [
            {"name": name, "shape": [len(data)], "datatype": "BYTES", "data": data}
            for name, data in given
        ]
        reply = world.post("/inference/v2/models/pairs/infer", {"inputs": inputs})
        assert reply.status_code in (413, 422), reply.text
        return str(reply.json()["error"])

    assert "must be text and text_pair" in infer(("text", ["a"]))
    assert "must be text and text_pair" in infer(("text", ["a"]), ("text", ["b"]))
    assert "as many values each" in infer(("text", ["a"]), ("text_pair", ["b", "c"]))
    assert "256" in infer(("text", ["a"]), ("text_pair", ["b"] * (ITEMS_MAX + 1)))


def test_label_studio_and_chats_have_one_text(world: World) -> None:
    setup = {"schema": LABEL_STUDIO_TEXTS, "project": "1.1"}
    refused = world.post("/label-studio/pairs/setup", setup)
    assert refused.status_code == 422
    assert "takes pairs of texts" in refused.json()["error"]
    chat = {"model": "pairs", "messages": [{"role": "user", "content": "a"}]}
    refused = world.post(f"/openai{ENDPOINT}", chat)
    assert refused.status_code == 400
    assert "takes pairs of texts" in refused.json()["error"]["message"]
