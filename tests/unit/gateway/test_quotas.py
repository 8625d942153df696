"""Quotas over HTTP: what a tenant may have and has, and exceptions by admins."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cluster.domain.jobs import JobState, Progress
from serve_apps.client import MusterClient
from serve_apps.gateway.schemas.quotas import QuotaRequest
from tests.unit.gateway.serving import serving
from tests.unit.gateway.world import TENANT, World, job_body, problem

PATH = f"/v1/quotas/{TENANT}"


def test_a_tenant_sees_what_it_may_have_and_has(world: World) -> None:
    job = world.submitted()
    world.stores.jobs.save(replace(job, progress=Progress(items=7)))
    world.call("POST", "/v1/uploads", "client", content=b"12345")

    shown = world.get("/v1/quota").json()

    quotas = world.services.settings.quotas
    assert shown == {
        "jobs_unfinished": {"limit": quotas.jobs_unfinished_max, "used": 1},
        "items": {"limit": quotas.items_max, "used": 7},
        "upload_bytes": {"limit": quotas.upload_bytes_max, "used": 5},
        "webhooks": {"limit": world.services.settings.webhooks.tenant_max, "used": 0},
        "upload_streams_max": quotas.upload_streams_max,
    }


def test_a_full_quota_of_uploads_is_found_and_freed(world: World) -> None:
    # Given a tenant that has uploaded all it may, a part of it in pieces that never came
    world.clock.time = 1_700_000_000.0
    path = {"Tus-Resumable": "1.0.0", "Upload-Length": "9"}
    assert world.call("POST", "/v1/uploads", "client", headers=path).status_code == 201
    world.clock.time += 10.0
    for size in (5, 6):
        world.call("POST", "/v1/uploads", "client", content=bytes(size))
    world.call("POST", "/v1/uploads", "client", "rival", content=b"1")
    assert world.call("PUT", PATH, "admin", json={"upload_bytes_max": 20}).status_code == 200
    refused = world.call("POST", "/v1/uploads", "client", content=b"1")
    problem(refused, 403, "quota-exceeded")
    with serving(world.http.app) as url, MusterClient(url, world.key("client")) as client:
        # When it looks what these are
        found = list(client.uploads())
        # Then each tells its size, its age and how long it is waited for
        sizes = [(upload.size_bytes, upload.length_bytes) for upload in found]
        assert (sorted(sizes[:2]), sizes[2:]) == ([(5, 5), (6, 6)], [(0, 9)])
        times = [upload.created_at.timestamp() for upload in found]
        assert times == [1_700_000_010.0] * 2 + [1_700_000_000.0]
        ttl_s = world.services.settings.limits.upload_ttl_s
        assert [upload.expires_at for upload in found[:2]] == [None, None]
        assert found[2].expires_at == found[2].created_at + timedelta(seconds=ttl_s)
        # And what is deleted makes room
        client.remove_upload(found[2].id)
        assert [upload.id for upload in client.uploads()] == [found[0].id, found[1].id]
    assert world.call("POST", "/v1/uploads", "client", content=b"1").status_code == 201


def test_uploads_are_listed_by_pages(world: World) -> None:
    for _ in range(3):
        world.call("POST", "/v1/uploads", "client", content=b"x")
    first = world.get("/v1/uploads", params={"limit": 2}).json()
    rest = world.get("/v1/uploads", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    ids = [upload["id"] for page in (first, rest) for upload in page["uploads"]]
    assert (ids, rest["next_cursor"]) == (sorted(set(ids), reverse=True), None)
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("exception", "detail"),
    [
        ({"jobs_unfinished_max": 1}, "quota jobs_unfinished is 1, and 1 are used"),
        ({"items_max": 9}, "quota items is 9, and 7 are used"),
    ],
)
def test_a_job_beyond_a_quota_is_refused_and_stores_nothing(
    world: World, exception: dict[str, int], detail: str
) -> None:
    # Given a tenant with a job, and an exception that leaves no room for another
    job = world.submitted()
    world.stores.jobs.save(replace(job, progress=Progress(items=7)))
    objects = list(world.stores.objects.list(""))
    assert world.call("PUT", PATH, "admin", json=exception).status_code == 200

    # Then another job is refused, the same one returned, and other tenants are not concerned
    body = job_body(items=[{"id": str(n), "text": f"other {n}"} for n in range(3)])
    assert problem(world.post("/v1/jobs", body), 403, "quota-exceeded").detail == detail
    assert list(world.stores.objects.list("")) == objects
    assert world.post("/v1/jobs", body, tenant="initech").status_code == 201

    # When its job has ended and expired, or the exception is taken back
    ended = world.moved(world.stores.jobs.load(job.job_id), JobState.COMPLETED)
    world.stores.jobs.save(replace(ended, state=JobState.EXPIRED))
    assert world.post("/v1/jobs", body).status_code == 201
    assert world.call("PUT", PATH, "admin", json={}).status_code == 200
    assert world.post("/v1/jobs", body).status_code == 201


def test_a_retry_of_a_job_that_is_there_is_not_refused(world: World) -> None:
    headers = {"Idempotency-Key": "one"}
    assert world.post("/v1/jobs", job_body(), headers=headers).status_code == 201
    world.call("PUT", PATH, "admin", json={"jobs_unfinished_max": 0})
    assert world.post("/v1/jobs", job_body(), headers=headers).status_code == 200


def test_an_upload_beyond_an_exception_is_refused(world: World) -> None:
    world.call("PUT", PATH, "admin", json={"upload_bytes_max": 4})
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    for more in ({"content": b"12345"}, {"headers": tus}):
        refused = world.call("POST", "/v1/uploads", "client", **more)
        assert problem(refused, 403, "quota-exceeded").detail == (
            "quota upload_bytes is 4, and 0 are used"
        )
    assert world.call("POST", "/v1/uploads", "client", content=b"1234").status_code == 201


def test_an_admin_makes_exceptions_with_the_client(world: World) -> None:
    with serving(world.http.app) as url:
        with MusterClient(url, world.key("admin")) as admin:
            changed = admin.set_quota(TENANT, QuotaRequest(items_max=5))
        with MusterClient(url, world.key("client")) as client:
            assert client.quota() == changed
    assert changed.items.limit == 5
    assert world.get(PATH, "admin").json() == changed.model_dump()
    problem(world.call("PUT", PATH, "admin", json={"items_max": -1}), 422, "invalid-request")
