"""Every route that changes something leaves an entry in the audit log, and with the change.

A new route has to be put into one of the two tables here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from cluster import paths
from cluster.audit import checked
from cluster.domain.access import Role
from cluster.domain.audit import MUSTER, Act, AuditEntry, Head
from cluster.domain.ids import TenantId
from cluster.domain.jobs import JobState
from cluster.errors import StoreBusy
from cluster.settings import RetentionSettings
from cluster.stores.memory.audit import MemoryAudit
from serve_apps.gateway.acting import details_of
from serve_apps.gateway.api import build_api
from serve_apps.gateway.schemas.keys import KeyRequest
from serve_apps.jobs.sweep import sweep
from tests.unit.gateway.lines import add_versions
from tests.unit.gateway.test_results import deliver
from tests.unit.gateway.world import World, job_body, problem

TUS = {"Tus-Resumable": "1.0.0"}
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
    b'{"custom_id": "i0", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", '
    b'"messages": [{"role": "user", "content": "hello"}]}}\r\n--x--\r\n'
)
AS_FORM = {"content": FORM, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}
TERMS = {"muster_labels": "cat,dog", "muster_base_model": "fake"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request to a route, and the act that it is."""

    action: str
    role: Role = "client"
    sent: Mapping[str, Any] = field(default_factory=dict)


RECORDED: Mapping[tuple[str, str], Asked] = {
    ("POST", "/v1/jobs"): Asked(action="job.submit", sent={"json": job_body()}),
    ("PATCH", "/v1/jobs/{job_id}"): Asked(action="job.amend", sent={"json": {"weight": 3.0}}),
    ("POST", "/v1/jobs/{job_id}/pause"): Asked(action="job.pause"),
    ("POST", "/v1/jobs/{job_id}/resume"): Asked(action="job.resume"),
    ("POST", "/v1/jobs/{job_id}/cancel"): Asked(action="job.cancel"),
    ("POST", "/v1/uploads"): Asked(action="upload.create", sent={"content": b"{}"}),
    ("DELETE", "/v1/uploads/{upload_id}"): Asked(action="upload.delete", sent={"headers": TUS}),
    ("POST", "/v1/webhooks"): Asked(
        action="webhook.add",
        sent={"json": {"url": "https://hooks.example/in", "events": ["job.completed"]}},
    ),
    ("POST", "/v1/webhooks/{webhook_id}/rotate"): Asked(action="webhook.rotate"),
    ("POST", "/v1/webhooks/{webhook_id}/enable"): Asked(action="webhook.enable"),
    ("POST", "/v1/webhooks/{webhook_id}/test"): Asked(action="webhook.ping"),
    ("DELETE", "/v1/webhooks/{webhook_id}"): Asked(action="webhook.remove"),
    ("POST", "/v1/workers"): Asked(
        action="worker.register", role="worker", sent={"json": {"name": "ann"}}
    ),
    ("POST", "/v1/jobs/{job_id}/assignments"): Asked(
        action="job.assign",
        sent={"json": {"workers": [{"worker_id": "{worker_id}", "count": 1}]}},
    ),
    ("POST", "/v1/models/{name}/live"): Asked(
        action="model.promote", sent={"json": {"version": 1}}
    ),
    ("POST", "/v1/models/{name}/rollback"): Asked(action="model.rollback", sent={"json": {}}),
    ("POST", "/v1/keys"): Asked(
        action="key.issue", role="admin", sent={"json": {"tenant_id": "hooli", "role": "client"}}
    ),
    ("DELETE", "/v1/keys/{key_id}"): Asked(action="key.revoke", role="admin"),
    ("PUT", "/v1/quotas/{tenant_id}"): Asked(
        action="quota.set", role="admin", sent={"json": {"items_max": 5}}
    ),
    ("POST", "/openai/v1/files"): Asked(action="upload.create", sent=AS_FORM),
    ("POST", "/openai/v1/batches"): Asked(
        action="job.submit",
        sent={
            "json": {
                "input_file_id": "{file_id}",
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
                "metadata": TERMS,
            }
        },
    ),
    ("POST", "/openai/v1/batches/{batch_id}/cancel"): Asked(action="job.cancel"),
    ("DELETE", "/openai/v1/files/{file_id}"): Asked(action="upload.delete"),
    ("GET", "/v1/jobs/{job_id}/export"): Asked(action="job.export"),
}
"""In the order in which a test can ask for them."""

UNRECORDED = {
    ("PATCH", "/v1/uploads/{upload_id}"): "a piece of what was recorded when it was created",
    ("POST", "/v1/workers/{worker_id}/claims"): "leases run out by themselves",
    ("POST", "/v1/workers/{worker_id}/answers"): "every answer is kept in a log of its own",
    ("POST", "/v1/workers/{worker_id}/releases"): "leases run out by themselves",
    ("POST", "/v1/workers/{worker_id}/heartbeats"): "leases run out by themselves",
    ("POST", "/v1/models/{name}/predictions"): "changes nothing",
    ("POST", "/openai/v1/chat/completions"): "changes nothing",
    ("POST", "/inference/v2/models/{name}/infer"): "changes nothing",
    ("POST", "/inference/v2/models/{name}/versions/{version}/infer"): "changes nothing",
    ("POST", "/label-studio/{line}/setup"): "changes nothing",
    ("POST", "/label-studio/{line}/predict"): "changes nothing",
    ("POST", "/label-studio/{line}/webhook"): "changes nothing",
}
READING = {"GET", "HEAD", "OPTIONS"}


def entries(world: World) -> tuple[AuditEntry, ...]:
    return world.stores.audit.read(0, 10_000)


def test_every_route_that_changes_something_is_in_one_table(world: World) -> None:
    found = {
        (method, each.path)
        for each in iter_route_contexts(build_api(world.services).routes)
        for method in each.methods or ()
        if method not in READING
    }
    changing = {place for place in RECORDED if place[0] not in READING}
    assert found == changing | set(UNRECORDED)
    assert changing.isdisjoint(UNRECORDED)


def test_every_act_leaves_its_entry_and_all_are_one_chain(world: World) -> None:
    # Given a line, and ids of what the requests below make, where they are not made by them
    add_versions(world, "pets", 2)
    ids = {"name": "pets", "key_id": "hooli-client", "tenant_id": "hooli"}
    for place, asked in RECORDED.items():
        method, template = place
        if template.endswith("/export"):
            job = world.submitted()
            deliver(world, job, [2])
            world.stores.objects.write(paths.export(job.job_id, "jsonl"), b"{}\n")
            ids["job_id"] = world.moved(job, JobState.COMPLETED).job_id
        before = len(entries(world))
        # When each is asked for
        sent = {"headers": {}, **asked.sent}
        sent["headers"] = {**sent["headers"], "X-Request-Id": "req-7"}
        if "json" in sent:
            sent["json"] = named(sent["json"], ids)
        response = world.call(method, template.format(**ids), asked.role, **sent)
        # Then it is done, and one entry says by whom and to what
        assert response.status_code < 300, (place, response.text)
        new = entries(world)[before:]
        assert [entry.act.action for entry in new] == [asked.action], place
        act = new[0].act
        assert (act.actor, act.tenant_id) == (f"acme-{asked.role}", "acme"), place
        assert (act.request_id, act.at) == ("req-7", world.clock.now()), place
        if method == "POST" and response.headers["content-type"] == "application/json":
            ids |= made_by(template, response.json())
        assert any(value in act.subject or act.subject in value for value in ids.values()), place
    # And what they wrote is one chain
    found = checked(entries(world))
    assert found == Head(len(entries(world)), entries(world)[-1].sha256)


def named(body: object, ids: Mapping[str, str]) -> object:
    """Return a body in which ids stand for their names."""
    text = json.dumps(body)
    for name, value in ids.items():
        text = text.replace(f"{{{name}}}", value)
    return json.loads(text)


def made_by(template: str, reply: Mapping[str, Any]) -> dict[str, str]:
    """Return the id of what was made, under the name that paths have for it."""
    names = {
        "/v1/jobs": "job_id",
        "/v1/uploads": "upload_id",
        "/v1/webhooks": "webhook_id",
        "/v1/workers": "worker_id",
        "/v1/keys": "key_id",
        "/openai/v1/files": "file_id",
        "/openai/v1/batches": "batch_id",
    }
    return {names[template]: str(reply["id"])} if template in names else {}


class Unwritable(MemoryAudit):
    """An audit log that cannot be written."""

    def append(self, act: Act) -> AuditEntry:
        raise StoreBusy(f"recording {act.action}")


def test_what_cannot_be_recorded_is_not_done(world: World) -> None:
    # Given an audit log that cannot be written
    job = world.moved(world.submitted(), JobState.COMPLETED)
    upload = world.call("POST", "/v1/uploads", "client", content=b"{}").json()["id"]
    stores = replace(world.stores, audit=Unwritable())
    with World.of(stores, world.services.settings.data_dir) as other:
        # When something is deleted or taken out
        deleted = other.call("DELETE", f"/v1/uploads/{upload}", "client", headers=TUS)
        exported = other.get(f"/v1/jobs/{job.job_id}/export")
    # Then it is refused, and nothing has happened
    problem(deleted, 503, "store-busy")
    problem(exported, 503, "store-busy")
    assert world.stores.uploads.get(TenantId("acme"), upload).is_whole


def test_a_request_without_an_id_of_its_own_gets_one(world: World) -> None:
    for sent in ({}, {"X-Request-Id": "bad id\t"}, {"X-Request-Id": "x" * 65}):
        world.post("/v1/jobs", job_body(), headers=sent)
    ids = [entry.act.request_id for entry in entries(world)]
    assert len(set(ids)) == 3
    assert all(len(each) == 32 for each in ids)


def test_the_details_are_those_that_were_asked(world: World) -> None:
    asked = KeyRequest(tenant_id="hooli", role="client")
    world.post("/v1/keys", {"role": "client", "tenant_id": "hooli"}, "admin")
    assert entries(world)[-1].act.details_sha256 == details_of(asked)
    assert details_of(asked) != details_of(KeyRequest(tenant_id="hooli", role="admin"))


def test_refusals_and_retries_leave_no_entry(world: World) -> None:
    once = {"Idempotency-Key": "k-1"}
    world.post("/v1/jobs", job_body(), headers=once)
    world.post("/v1/jobs", job_body(), headers=once)
    world.post("/v1/jobs", job_body(labels=["one"]))
    world.call("DELETE", "/v1/webhooks/whk-none", "client")
    assert [entry.act.action for entry in entries(world)] == ["job.submit"]


def test_what_expires_is_recorded_as_the_services_own(world: World) -> None:
    job = world.moved(world.submitted(expires_after_s=60), JobState.CANCELLED)
    world.clock.time = (job.expires_at or 0.0) + 1
    sweep(world.stores, RetentionSettings(), world.clock)
    (expired,) = [each.act for each in entries(world) if each.act.action == "job.expire"]
    assert (expired.actor, expired.subject, expired.tenant_id) == (MUSTER, job.job_id, "acme")


@pytest.mark.parametrize("role", ["client", "worker"])
def test_only_admins_read_the_log(world: World, role: Role) -> None:
    problem(world.get("/v1/audit", role), 403, "wrong-role")
    world.submitted()
    page = world.get("/v1/audit", "admin").json()
    assert [entry["action"] for entry in page["entries"]] == ["job.submit"]
    assert world.get("/v1/audit", "admin", params={"after": 1}).json() == {
        "entries": [],
        "next_after": 1,
    }
