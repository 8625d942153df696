"""Every way a request can be wrong, and the precise problem it gets."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.gateway.world import LIMITS, World, job_body, problem


@pytest.fixture
def world(shared_world: World) -> World:
    return shared_world


BODIES: tuple[tuple[str, bytes, str], ...] = (
    ("cut off", b'{"name": "x"', "EOF while parsing an object at line 1 column 12"),
    ("empty", b"", "EOF while parsing a value at line 1 column 0"),
    ("not JSON", b'{"name": x}', "expected value at line 1 column 10"),
    ("invalid UTF-8", b'{"name": "\xff"}', "invalid unicode code point at line 1 column 11"),
    ("lone surrogate", b'{"name": "\\ud800"}', "unexpected end of hex escape at line 1 column 17"),
    ("NaN", b'{"seed": NaN}', "expected value at line 1 column 10"),
    ("too deep", b"[" * 5_000, "recursion limit exceeded"),
    ("endless number", b'{"seed": ' + b"9" * 5_000 + b"}", "number out of range"),
    ("two documents", b"{} {}", "trailing characters at line 1 column 4"),
)


@pytest.mark.parametrize(
    ("body", "reason"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES]
)
def test_a_body_that_is_not_json_says_where(world: World, body: bytes, reason: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = world.call("POST", "/v1/jobs", "client", content=body, headers=headers)
    found = problem(response, 400, "malformed-body")
    assert reason in found.detail
    assert found.instance == "/v1/jobs"


FIELDS: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"name": None}, "#/name", "Field required"),
    ({"labels": None}, "#/labels", "Field required"),
    ({"name": 5}, "#/name", "Input should be a valid string"),
    ({"name": "a\nb"}, "#/name", "String should match pattern"),
    ({"modality": "sound"}, "#/modality", "Input should be 'text', 'image' or 'text_pair'"),
    ({"labels": "cat"}, "#/labels", "Input should be a valid list"),
    ({"labels": ["cat"]}, "#/labels", "List should have at least 2 items"),
    ({"labels": ["cat", "cat"]}, "#/labels", "label names must be unique"),
    ({"labels": ["cat", ""]}, "#/labels/1/name", "String should have at least 1 character"),
    ({"labels": ["cat", {"name": "x" * 201}]}, "#/labels/1/name", "at most 200 characters"),
    ({"labels": ["a", {"name": "b", "color": "red"}]}, "#/labels/1/color", "not permitted"),
    ({"goal": {"accuracy": 1.5}}, "#/goal/accuracy", "Input should be less than 1"),
    ({"goal": {"accuracy": "0.9"}}, "#/goal/accuracy", "Input should be a valid number"),
    ({"goal": {"confidence": 0.4}}, "#/goal/confidence", "greater than or equal to 0.5"),
    ({"budget": {"answers_max": -1}}, "#/budget/answers_max", "greater than or equal to 0"),
    ({"budget": {"answers_max": 2.5}}, "#/budget/answers_max", "valid integer"),
    ({"crowd": {"audit_share": 2}}, "#/crowd/audit_share", "less than or equal to 1"),
    ({"crowd": {"lease_ttl_s": 0.5}}, "#/crowd/lease_ttl_s", "greater than or equal to 1"),
    ({"weight": 0}, "#/weight", "greater than 0"),
    ({"seed": 2**60}, "#/seed", "less than or equal to"),
    ({"base_model": "../../etc/passwd"}, "#/base_model", "String should match pattern"),
    ({"base_model": "fake:1.2.3"}, "#/base_model", "String should match pattern"),
    ({"base_model": "resnet"}, "#/base_model", "resnet does not take texts"),
    ({"recipe": "soup"}, "#/recipe", "Input should be 'auto', 'head', 'lora' or 'full'"),
    ({"colour": "red"}, "#/colour", "Extra inputs are not permitted"),
    ({"items": []}, "#/items", "at least 1 item"),
    ({"items": [{"id": "a"}]}, "#/items/0/text", "is missing"),
    ({"items": [{"text": "a"}]}, "#/items/0/id", "Field required"),
    ({"items": [{"id": "a", "text": 1}]}, "#/items/0/text", "valid string"),
    ({"items": [{"id": "a", "text": "b", "image": "c"}]}, "#/items/0/image", "does not fit"),
    ({"items": None}, "#/items", "give exactly one of items, upload_id and uri, not none"),
    ({"upload_id": "u", "format": "csv"}, "#/items", "not items and upload_id"),
    ({"items": None, "upload_id": "u"}, "#/format", "is needed beside upload_id"),
    ({"items": None, "uri": "file:///a", "format": "xml"}, "#/format", "'jsonl', 'csv', 'parquet'"),
)


@pytest.mark.parametrize(
    ("changes", "pointer", "detail"), FIELDS, ids=[f"{case[1]}-{case[2][:20]}" for case in FIELDS]
)
def test_a_wrong_field_is_named(
    world: World, changes: dict[str, Any], pointer: str, detail: str
) -> None:
    jobs_before = world.stores.jobs.unfinished()
    response = world.post("/v1/jobs", job_body(**changes))
    slug = str(response.json()["type"]).rpartition(":")[2]
    found = problem(response, 422, slug)
    assert slug in {"invalid-request", "invalid-field"}
    assert found.errors[0].pointer == pointer
    assert detail in found.errors[0].detail
    assert world.stores.jobs.unfinished() == jobs_before


def test_every_wrong_field_is_told_at_once(world: World) -> None:
    response = world.post("/v1/jobs", job_body(name="", weight=-1, seed="x"))
    found = problem(response, 422, "invalid-request")
    assert [error.pointer for error in found.errors] == ["#/name", "#/weight", "#/seed"]
    assert found.detail.endswith("(and 2 more)")


def test_pointers_escape_what_json_pointers_must(world: World) -> None:
    found = problem(world.post("/v1/jobs", job_body(**{"a/b~c": 1})), 422, "invalid-request")
    assert found.errors[0].pointer == "#/a~1b~0c"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_type_is_not_read(world: World, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    content = json.dumps(job_body()).encode()
    response = world.call("POST", "/v1/jobs", "client", content=content, headers=headers)
    assert "send application/json" in problem(response, 415, "unsupported-media").detail


def test_a_request_over_the_limit_is_refused(world: World) -> None:
    items = [{"id": "1", "text": "x" * LIMITS.request_bytes_max}]
    found = problem(world.post("/v1/jobs", job_body(items=items)), 413, "too-large")
    assert found.detail.startswith("the request body has 20,")
    assert found.detail.endswith("bytes; the limit is 20,000")


def test_too_many_inline_items_are_refused(world: World) -> None:
    items = [{"id": str(number), "text": "x"} for number in range(LIMITS.inline_items_max + 1)]
    found = problem(world.post("/v1/jobs", job_body(items=items)), 413, "too-large")
    assert found.detail == "items has 51 entries; the limit is 50"


def test_an_unknown_upload_is_not_found(world: World) -> None:
    body = job_body(items=None, upload_id="upl-1", format="jsonl")
    assert problem(world.post("/v1/jobs", body), 404, "upload-not-found").detail == (
        "there is no upload upl-1"
    )


def test_an_upload_of_another_tenant_is_not_found(world: World) -> None:
    stored = world.call("POST", "/v1/uploads", "client", "umbrella", content=b"x")
    body = job_body(items=None, upload_id=stored.json()["id"], format="jsonl")
    problem(world.post("/v1/jobs", body), 404, "upload-not-found")


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "file://{inbox}/../secret.jsonl",
        "file://{inbox}/%2e%2e/secret.jsonl",
        "file://{inbox}/link.jsonl",
        "http://169.254.169.254/latest/meta-data",
        "s3://somebody/elses.jsonl",
        "relative.jsonl",
    ],
)
def test_a_place_outside_the_roots_is_refused(world: World, uri: str) -> None:
    inbox = world.inbox
    (inbox.parent / "secret.jsonl").write_text("{}")
    link = inbox / "link.jsonl"
    link.unlink(missing_ok=True)
    link.symlink_to(inbox.parent / "secret.jsonl")
    body = job_body(items=None, uri=uri.format(inbox=inbox), format="jsonl")
    found = problem(world.post("/v1/jobs", body), 422, "forbidden-uri")
    assert uri.format(inbox=inbox) in found.detail


def test_a_missing_or_oversized_file_is_told_at_submit(world: World) -> None:
    inbox = world.inbox
    (inbox / "large.jsonl").write_bytes(b"x" * (LIMITS.source_bytes_max + 1))
    missing = job_body(items=None, uri=f"file://{inbox}/none.jsonl", format="jsonl")
    large = job_body(items=None, uri=f"file://{inbox}/large.jsonl", format="jsonl")
    found = problem(world.post("/v1/jobs", missing), 422, "unreadable-source")
    assert found.detail.endswith("there is no such file")
    assert "40,001 bytes" in problem(world.post("/v1/jobs", large), 413, "too-large").detail


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/v1/jobs?limit=0", "limit"),
        ("/v1/jobs?limit=99999999999999", "limit"),
        ("/v1/jobs?limit=ten", "limit"),
        ("/v1/jobs?cursor=", "cursor"),
        ("/v1/jobs/{job}/events?after=-1", "after"),
        ("/v1/jobs/{job}/results?cursor=abc", "cursor"),
        ("/v1/jobs/{job}/results?cursor=%C2%B2", "cursor"),
        ("/v1/jobs/{job}/labels?cursor=99-0", "cursor"),
        ("/v1/jobs/{job}/labels?cursor=7", "cursor"),
        ("/v1/jobs/%00", "job_id"),
    ],
)
def test_a_wrong_parameter_is_named(world: World, path: str, parameter: str) -> None:
    job = world.submitted()
    response = world.get(path.format(job=job.job_id))
    found = problem(response, 422, "invalid-request")
    assert (found.errors[0].parameter, found.errors[0].pointer) == (parameter, None)


def test_an_export_in_an_unknown_format_is_refused(world: World) -> None:
    job = world.submitted()
    found = problem(world.get(f"/v1/jobs/{job.job_id}/export?format=xml"), 422, "invalid-request")
    assert found.errors[0].parameter == "format"


def test_an_unknown_route_or_method_is_a_problem_too(world: World) -> None:
    assert problem(world.get("/v1/nothing"), 404, "not-found").instance == "/v1/nothing"
    refused = world.call("PUT", "/v1/jobs", "client")
    problem(refused, 405, "method-not-allowed")
    assert "POST" in refused.headers["allow"]


JSON_VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(field=st.sampled_from([*job_body(), "goal", "budget", "crowd", "uri"]), value=JSON_VALUES)
def test_no_value_of_any_field_breaks_the_service(world: World, field: str, value: object) -> None:
    content = json.dumps({**job_body(), field: value}).encode()  # also NaN and lone surrogates
    headers = {"Content-Type": "application/json"}
    response = world.call("POST", "/v1/jobs", "client", content=content, headers=headers)
    assert response.status_code < 500, response.text
