"""The sweep: what expires goes, step by step, and nothing else does."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster import paths
from cluster.domain.audit import MUSTER
from cluster.domain.ids import JobId, TenantId
from cluster.domain.jobs import Job, JobState
from cluster.domain.webhooks import WebhookKind
from cluster.errors import IdempotencyMismatch, StoreBusy
from cluster.settings import RetentionSettings
from cluster.stores.memory import memory_stores
from cluster.stores.objects import FolderObjects
from cluster.upload_reader import UPLOAD_SCHEME, open_upload
from serve_apps.gateway.idempotency import idempotency_key
from serve_apps.gateway.schemas.job_request import JobRequest
from serve_apps.gateway.submit import submit
from serve_apps.jobs.sweep import sweep
from tests.unit.gateway.test_results import deliver
from tests.unit.gateway.test_resumable import body, service
from tests.unit.gateway.world import TENANT, World, acting, job_body, problem

ACME = TenantId(TENANT)
RETENTION = RetentionSettings()
HOUR_S, DAY_S = 3_600.0, 86_400.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    stores = memory_stores(FolderObjects(tmp_path / "objects"))
    with World.of(stores, tmp_path) as opened:
        opened.clock.time = 1_700_000_000.0
        yield opened


def run(world: World) -> None:
    sweep(world.stores, RETENTION, world.clock)


def completed(world: World, **changes: object) -> Job:
    """Submit a job and bring it to its end, with a chunk and some results."""
    job = world.asking(["a", "b"], **changes)
    deliver(world, job, [2])
    for suffix in ("jsonl", "parquet"):
        world.stores.objects.write(paths.export(job.job_id, suffix), b"labels")
    world.moved(job, JobState.COMPLETED)
    return world.stores.jobs.load(job.job_id)


def test_an_expired_job_is_a_tombstone_and_holds_nothing(world: World) -> None:
    # Given a job that is kept for an hour, and another one
    job, other = completed(world, expires_after_s=HOUR_S), completed(world, name="kept")
    path = f"/v1/jobs/{job.job_id}"
    world.clock.time += HOUR_S - 1
    run(world)
    assert world.get(f"{path}/results").json()["results"]

    # When its time is over
    world.clock.time += 1
    run(world)

    # Then it is shown as expired, and what it held is gone
    shown = world.get(path).json()
    assert (shown["state"], shown["progress"]["items"]) == ("expired", 0)
    for what in ("results", "export", "errors", "labels"):
        problem(world.get(f"{path}/{what}"), 410, "job-expired")
    assert list(world.stores.objects.list(paths.job(job.job_id))) == []
    assert world.stores.chunks.chunks(job.job_id) == ()
    problem(world.post(f"{path}/cancel", None), 409, "job-finished")
    # And its history and webhooks tell of it, once
    events = world.get(f"{path}/events").json()["events"]
    assert [event["message"] for event in events].count("the job is expired") == 1
    kinds = [notice.kind for notice in world.stores.events.notices(10)]
    assert kinds == [WebhookKind.JOB_EXPIRED]
    # And the other one is whole
    assert world.get(f"/v1/jobs/{other.job_id}/export").status_code == 200


def test_whoever_dies_half_way_is_followed_by_another(world: World) -> None:
    job = completed(world, expires_after_s=HOUR_S)
    world.clock.time += HOUR_S
    for store, method in (("objects", "delete"), ("retention", "drop_contents")):
        dying: Any = Dying(getattr(world.stores, store), method)
        with pytest.raises(StoreBusy):
            sweep(replace(world.stores, **{store: dying}), RETENTION, world.clock)
        # It is never shown as if it were whole
        problem(world.get(f"/v1/jobs/{job.job_id}/results"), 410, "job-expired")
    run(world)
    run(world)
    assert list(world.stores.objects.list("")) == []
    assert world.stores.retention.expiring(world.clock.now(), 10) == ()
    events = world.stores.events.read(job.job_id, 0, 100)
    assert [event.message for event in events].count("the job is expired") == 1


class Dying:
    """A store one of whose methods fails."""

    def __init__(self, inner: Any, method: str) -> None:
        self._inner, self._method = inner, method

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            raise StoreBusy(name)
        return getattr(self._inner, name)


def test_an_upload_goes_with_the_last_job_that_was_read_from_it(world: World) -> None:
    # Given two jobs from one upload, and one from nothing but inline items
    reply = world.call("POST", "/v1/uploads", "client", content=b'{"id":"1","text":"a"}\n')
    upload_id = reply.json()["id"]
    source = {"items": None, "upload_id": upload_id, "format": "jsonl"}
    completed(world, expires_after_s=HOUR_S, **source)
    completed(world, expires_after_s=2 * HOUR_S, **source)
    completed(world, expires_after_s=HOUR_S)
    inline = [path for path in world.stores.objects.list("uploads") if "inline-" in path]
    assert len(inline) == 1

    world.clock.time += HOUR_S
    run(world)
    assert list(world.stores.objects.list("uploads")) == [paths.upload(ACME, upload_id)]
    world.clock.time += HOUR_S
    run(world)

    assert list(world.stores.objects.list("")) == []
    assert world.stores.quotas.usage(ACME).upload_bytes == 0


class Late:
    """A store of retention; a job is submitted when it has just said whose source is in use."""

    def __init__(self, inner: Any, submit: Callable[[], object]) -> None:
        self._inner, self._submit = inner, submit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def is_source(self, tenant_id: TenantId, uri: str) -> bool:
        found: bool = self._inner.is_source(tenant_id, uri)
        self._submit()
        return found


def test_a_job_of_the_same_items_keeps_them_though_another_goes_at_that_moment(
    world: World,
) -> None:
    # Given a job of inline items that expires
    completed(world, expires_after_s=HOUR_S)
    world.clock.time += HOUR_S
    later: list[str] = []

    def submit_again() -> None:
        later.append(world.post("/v1/jobs", job_body()).json()["id"])

    # When the same items are submitted while the sweep is at it
    late: Any = Late(world.stores.retention, submit_again)
    sweep(replace(world.stores, retention=late), RETENTION, world.clock)

    # Then the new job can read them
    uri = world.stores.jobs.load(JobId(later[0])).spec.source.uri
    with open_upload(world.stores.objects, ACME, uri.removeprefix(UPLOAD_SCHEME)) as items:
        assert items.read()


def test_inline_items_of_a_submit_that_makes_no_job_are_not_kept(world: World) -> None:
    # Given a job under a retry key
    headers = {"Idempotency-Key": "abc"}
    world.post("/v1/jobs", job_body(), headers=headers)
    stored = list(world.stores.objects.list("uploads"))

    # When two come under it that did not see the first: the same, and another
    real: Any = world.stores.jobs
    unseeing = Unseeing(real)
    services = replace(world.services, stores=replace(world.stores, jobs=unseeing))
    for asked in (job_body(), job_body(name="other")):
        request = JobRequest.model_validate(asked)
        with suppress(IdempotencyMismatch):
            submit(request, acting(), services, idempotency_key("abc", request))

    # Then nothing is left of them
    assert list(world.stores.objects.list("uploads")) == stored


class Unseeing:
    """A store of jobs that finds no retry key, as one that was asked a moment before."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def find(self, *_: object) -> None:
        """Find nothing."""


def test_parts_that_no_row_knows_of_go_after_a_while(world: World) -> None:
    # Given an upload that arrives, one that is whole, and parts that their writers left behind
    pieces = service(world)
    arriving, whole = pieces.create(acting(), 6, ""), pieces.create(acting(), 3, "")
    asyncio.run(pieces.receive(arriving, 0, body(b"abc"), None))
    asyncio.run(pieces.receive(whole, 0, body(b"abc"), None))
    gone = f"upl-{int(world.clock.time * 1_000):012x}{'f' * 20}"
    known = set(world.stores.objects.list("upload_parts"))
    lost = {paths.upload_part(ACME, upload_id, "x") for upload_id in (gone, whole.upload_id)}
    for path in lost:
        world.stores.objects.write(path, b"x")
    # A writer may still be at it
    run(world)
    assert set(world.stores.objects.list("upload_parts")) == known | lost

    # When they are old
    world.clock.time += RETENTION.orphan_after_s + 1
    arriving = world.stores.uploads.get(ACME, arriving.upload_id)
    world.stores.uploads.append(replace(arriving, expires_at=world.clock.time + DAY_S), [])
    run(world)

    # Then they are gone, and what rows know of is not
    assert set(world.stores.objects.list("upload_parts")) == known


def test_an_upload_that_ran_out_goes_without_anybody_asking(world: World) -> None:
    pieces = service(world)
    upload = pieces.create(acting(), 6, "")
    asyncio.run(pieces.receive(upload, 0, body(b"abc"), None))
    world.clock.time += DAY_S + 1
    run(world)
    assert list(world.stores.objects.list("")) == []
    assert world.stores.retention.upload(upload.upload_id) is None
    # And the audit log says so
    last = world.stores.audit.read(0, 100)[-1].act
    assert (last.actor, last.action, last.subject) == (MUSTER, "upload.expire", upload.upload_id)
    assert (last.tenant_id, last.at) == (upload.tenant_id, world.clock.now())


def test_a_job_is_kept_as_long_as_it_asks_or_else_for_ever(world: World) -> None:
    asked, default = completed(world, expires_after_s=60), completed(world)
    assert asked.expires_at == asked.updated_at + 60.0
    assert default.expires_at is None
    for wrong in (59, 0, -1, 4e8, "1h"):
        refused = world.post("/v1/jobs", {"expires_after_s": wrong})
        assert "expires_after_s" in problem(refused, 422, "invalid-request").model_dump_json()
    assert world.stores.jobs.load(JobId(asked.job_id)).spec.expires_after_s == 60.0
