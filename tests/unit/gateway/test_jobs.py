"""Submitting, looking at and cancelling jobs over HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cluster import paths
from cluster.domain.ids import JobId, TenantId
from cluster.domain.jobs import JobState
from cluster.settings import Settings
from cluster.stores.opened import open_stores
from serve_apps.gateway.api import build_api
from tests.unit.gateway.world import LIMITS, World, job_body, problem


def test_an_inline_job_is_stored_with_its_items(world: World) -> None:
    # When a job with three inline items is submitted
    response = world.post("/v1/jobs", job_body(goal={"accuracy": 0.9}, seed=7))
    # Then it is created, queued, with its place and its tag
    assert response.status_code == 201
    shown = response.json()
    assert response.headers["location"] == f"/v1/jobs/{shown['id']}"
    assert response.headers["etag"] == '"0"'
    assert (shown["state"], shown["base_model"], shown["seed"]) == ("queued", "minilm", 7)
    assert shown["labels"][1] == {"name": "dog", "description": "barks"}
    # And the items lie where the ingest will look for them, a line each
    spec = world.stores.jobs.load(JobId(shown["id"])).spec
    upload_id = spec.source.uri.removeprefix("upload://")
    lines = world.stores.objects.read(paths.upload(TenantId("acme"), upload_id)).splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["i0", "i1", "i2"]
    assert (spec.goal.accuracy, spec.source.format) == (0.9, "jsonl")


def test_an_upload_becomes_a_job(world: World) -> None:
    # Given an uploaded file
    content = b"id,message\n1,hello\n"
    uploaded = world.call("POST", "/v1/uploads", "client", content=content)
    assert uploaded.status_code == 201
    assert uploaded.json()["size_bytes"] == len(content)
    # When a job names it
    upload_id = uploaded.json()["id"]
    job = world.submitted(
        items=None, upload_id=upload_id, format="csv", content_field="message", id_field="id"
    )
    # Then its source is that file, read as asked
    assert (job.spec.source.uri, job.spec.source.format) == (f"upload://{upload_id}", "csv")
    assert job.spec.source.content_field == "message"
    assert world.stores.objects.read(paths.upload(TenantId("acme"), upload_id)) == content


def test_a_file_in_an_allowed_root_becomes_a_job(world: World, tmp_path: Path) -> None:
    file = tmp_path / "inbox" / "items.jsonl"
    file.write_text('{"id": "1", "text": "hello"}\n')
    job = world.submitted(items=None, uri=f"file://{file}", format="jsonl")
    assert job.spec.source.uri == f"file://{file}"


def test_the_same_retry_key_is_the_same_job(world: World) -> None:
    # Given a submitted job
    headers = {"Idempotency-Key": '"abc-1"'}
    first = world.post("/v1/jobs", job_body(), headers=headers)
    # When it is submitted again: other field order, a default spelled out, the key unquoted
    again = dict(reversed(job_body(weight=1.0).items()))
    second = world.post("/v1/jobs", again, headers={"Idempotency-Key": "abc-1"})
    # Then it is the same job, said to be a replay, and there is one job
    assert (first.status_code, second.status_code) == (201, 200)
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert first.json()["id"] == second.json()["id"]
    assert len(world.get("/v1/jobs").json()["jobs"]) == 1


def test_a_retry_is_the_first_job_even_where_its_source_is_gone(world: World) -> None:
    # Given jobs over a file and over an upload, each submitted under a key
    file = world.inbox / "items.jsonl"
    file.write_text('{"id": "1", "text": "hello"}\n')
    uploaded = world.call("POST", "/v1/uploads", "client", content=b"id,text\n1,hello\n").json()
    bodies = {
        "file": job_body(items=None, uri=f"file://{file}", format="jsonl"),
        "upload": job_body(items=None, upload_id=uploaded["id"], format="csv"),
    }
    first = {
        key: world.post("/v1/jobs", body, headers={"Idempotency-Key": key}).json()["id"]
        for key, body in bodies.items()
    }
    # When both sources are removed and the same requests come again
    file.unlink()
    for path in list(world.stores.objects.list("uploads")):
        world.stores.objects.delete(path)
    for key, body in bodies.items():
        again = world.post("/v1/jobs", body, headers={"Idempotency-Key": key})
        # Then each is the job it was, while a new request finds nothing to read
        assert (again.status_code, again.json()["id"]) == (200, first[key])
        assert again.headers["idempotency-replayed"] == "true"
        assert world.post("/v1/jobs", body).status_code in (404, 422)
        assert world.post("/v1/jobs", body, headers={"Idempotency-Key": "new"}).is_client_error
    assert len(world.get("/v1/jobs").json()["jobs"]) == 2


def test_a_retry_key_with_another_body_is_refused(world: World) -> None:
    headers = {"Idempotency-Key": "abc-1"}
    world.post("/v1/jobs", job_body(), headers=headers)
    response = world.post("/v1/jobs", job_body(name="others"), headers=headers)
    assert "'abc-1'" in problem(response, 422, "idempotency-mismatch").detail


def test_retry_keys_of_two_tenants_do_not_meet(world: World) -> None:
    headers = {"Idempotency-Key": "abc-1"}
    first = world.post("/v1/jobs", job_body(), headers=headers)
    second = world.post("/v1/jobs", job_body(), tenant="umbrella", headers=headers)
    assert second.status_code == 201
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize("key", ["", '"', "a" * 256, 'a"b'])
def test_a_strange_retry_key_is_refused(world: World, key: str) -> None:
    response = world.post("/v1/jobs", job_body(), headers={"Idempotency-Key": key})
    found = problem(response, 422, "invalid-request")
    assert found.errors[0].parameter == "Idempotency-Key"


def test_images_are_labelled_by_resnet_unless_asked_otherwise(world: World) -> None:
    items = [{"id": 1, "image": "aGVsbG8="}]
    job = world.submitted(modality="image", items=items)
    assert (job.spec.base_model, job.spec.modality) == ("resnet", "image")
    assert world.submitted(base_model="org/some-model.v2").spec.base_model == "org/some-model.v2"


def test_a_job_says_what_is_trained_of_its_base_model(world: World) -> None:
    assert world.submitted().spec.recipe == "auto"
    assert world.submitted(recipe="lora").spec.recipe == "lora"

    items = [{"id": 1, "image": "aGVsbG8="}]
    body = job_body(recipe="full", modality="image", items=items)
    refused = problem(world.post("/v1/jobs", body), 422, "invalid-field")
    assert refused.errors[0].pointer == "#/recipe"
    assert "always trained whole" in refused.errors[0].detail


def test_jobs_over_the_same_labels_share_a_model_line(world: World) -> None:
    first, second = world.submitted(), world.submitted(name="more animals")
    other = world.submitted(labels=["cat", "dog"])
    assert first.model_name == second.model_name != other.model_name
    assert first.model_name.startswith("acme/text-minilm-")


def test_an_unchanged_job_costs_no_body(world: World) -> None:
    # Given a job and its tag
    job = world.submitted()
    etag = world.get(f"/v1/jobs/{job.job_id}").headers["etag"]
    # Then asking with the tag, alone or among others, gives 304 without a body
    for tags in (etag, f'"99", W/{etag}', "*"):
        unchanged = world.get(f"/v1/jobs/{job.job_id}", headers={"If-None-Match": tags})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["etag"] == etag
    # And after a change the job
    world.moved(job, JobState.INGESTING)
    changed = world.get(f"/v1/jobs/{job.job_id}", headers={"If-None-Match": etag})
    assert (changed.status_code, changed.json()["state"]) == (200, "ingesting")


def test_jobs_are_listed_newest_first_by_page(world: World) -> None:
    # Given seven jobs, made a second apart
    made = []
    for number in range(7):
        world.clock.time += 1
        made.append(world.submitted(name=f"job {number}").job_id)
    # When they are read three a page
    listed: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = world.get("/v1/jobs", params=params).json()
        listed += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
    # Then each came once, newest first, and the last page said so
    assert listed == made[::-1]
    assert cursor is None


def test_a_page_is_never_longer_than_the_service_allows(world: World) -> None:
    for _ in range(3):
        world.submitted()
    limits = LIMITS.model_copy(update={"page_rows_max": 2})
    settings = world.services.settings.model_copy(update={"limits": limits})
    small = replace(world.services, settings=settings)
    http = TestClient(build_api(small), headers={"Authorization": f"Bearer {world.key('client')}"})
    page = http.get("/v1/jobs", params={"limit": 1_000}).json()
    assert len(page["jobs"]) == 2
    assert page["next_cursor"] == page["jobs"][-1]["id"]


def test_cancel_marks_a_running_job(world: World) -> None:
    job = world.moved(world.submitted(), JobState.INGESTING)
    for _ in range(2):  # asking again changes nothing
        response = world.post(f"/v1/jobs/{job.job_id}/cancel", None)
        assert (response.status_code, response.json()["cancel_requested"]) == (202, True)
    assert world.stores.jobs.load(job.job_id).revision == job.revision + 1


def test_cancel_wins_over_a_runner_that_saves_at_the_same_moment(world: World) -> None:
    # Given a runner that saves progress just after the job was read to be cancelled
    job = world.moved(world.submitted(), JobState.INGESTING)
    saves = iter(range(3))
    turn = world.clock.now

    def now() -> float:
        if next(saves, None) is not None:
            world.stores.jobs.save(world.stores.jobs.load(job.job_id))
        return turn()

    world.clock.now = now  # type: ignore[method-assign]
    # When it is cancelled
    response = world.post(f"/v1/jobs/{job.job_id}/cancel", None)
    # Then neither the cancelling nor a save is lost
    assert (response.status_code, response.json()["cancel_requested"]) == (202, True)
    assert world.stores.jobs.load(job.job_id).revision == job.revision + 4


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED])
def test_a_finished_job_cannot_be_cancelled(world: World, state: JobState) -> None:
    job = world.moved(world.submitted(), state)
    response = world.post(f"/v1/jobs/{job.job_id}/cancel", None)
    assert problem(response, 409, "job-finished").detail == f"job {job.job_id} is already {state}"


def test_events_are_read_on_from_where_the_client_was(world: World) -> None:
    job = world.submitted()
    first = world.get(f"/v1/jobs/{job.job_id}/events").json()
    assert [event["kind"] for event in first["events"]] == ["submitted"]
    assert first["events"][0]["at"] == "1970-01-12T13:46:40Z"
    rest = world.get(f"/v1/jobs/{job.job_id}/events", params={"after": first["next_after"]})
    assert rest.json() == {"events": [], "next_after": 1}


@pytest.mark.parametrize("rest", ["", "/events", "/results", "/errors", "/export", "/labels"])
def test_a_job_of_another_tenant_is_unknown(world: World, rest: str) -> None:
    job = world.moved(world.submitted(), JobState.COMPLETED)
    theirs = problem(
        world.get(f"/v1/jobs/{job.job_id}{rest}", tenant="umbrella"), 404, "job-not-found"
    )
    nobodys = problem(world.get(f"/v1/jobs/job-0{rest}"), 404, "job-not-found")
    assert theirs.detail == f"there is no job {job.job_id}"
    assert nobodys.detail == "there is no job job-0"
    cancel = world.post(f"/v1/jobs/{job.job_id}/cancel", None, tenant="umbrella")
    problem(cancel, 404, "job-not-found")


def test_the_whole_life_over_sqlite(tmp_path: Path) -> None:
    # Given a gateway over the default stores
    with World.of(open_stores(Settings(data_dir=tmp_path / "var")), tmp_path, LIMITS) as world:
        # When a job is submitted twice with one key, listed, looked at and cancelled
        headers = {"Idempotency-Key": "once"}
        first, second = (world.post("/v1/jobs", job_body(), headers=headers) for _ in range(2))
        job_id = first.json()["id"]
        assert (second.status_code, second.json()["id"]) == (200, job_id)
        assert [job["id"] for job in world.get("/v1/jobs").json()["jobs"]] == [job_id]
        assert world.post(f"/v1/jobs/{job_id}/cancel", None).status_code == 202
        # Then its stored state and events say so
        assert world.get(f"/v1/jobs/{job_id}").json()["cancel_requested"] is True
        events = world.get(f"/v1/jobs/{job_id}/events").json()["events"]
        assert [event["kind"] for event in events] == ["submitted", "cancelling"]


def test_one_retry_key_in_parallel_is_one_job(tmp_path: Path) -> None:
    # Given a gateway over SQLite and one request that is sent many times at once
    stores = open_stores(Settings(data_dir=tmp_path / "var"))
    with World.of(stores, tmp_path) as world, ThreadPoolExecutor(8) as threads:
        world.key("client")
        headers = {"Idempotency-Key": "once"}
        sent = [
            threads.submit(world.post, "/v1/jobs", job_body(), headers=headers) for _ in range(24)
        ]
        responses = [one.result() for one in sent]
    # Then there is one job, made once and replayed otherwise
    assert len({response.json()["id"] for response in responses}) == 1
    assert sorted(response.status_code for response in responses) == [200] * 23 + [201]
    assert len(stores.jobs.unfinished()) == 1
