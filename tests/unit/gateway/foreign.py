"""Every route that has an id in its path, asked for what is another tenant's.

The routes are the application's own, those outside of the OpenAPI document too; a new one is probed
as soon as it is there, and its probe fails until its body stands in `BODIES`.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.routing import iter_route_contexts
from httpx2 import Response

from cluster import paths
from cluster.domain.access import Role
from cluster.domain.ids import TenantId, WorkerId
from cluster.domain.jobs import JobState
from tests.unit.gateway.lines import add_versions
from tests.unit.gateway.test_results import deliver
from tests.unit.gateway.world import World, job_body

RIVAL = "rival"
MARK = "canary"
"""What stands in everything of the rival's but its ids, which whoever probes knows."""

ENCODED = b64encode(MARK.encode()).decode()
"""As a part of the metadata of an upload."""

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
TENSOR = {
    "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["x"]}],
}
CONFIG = """<View><Text name="t" value="$text"/><Choices name="c" toName="t">
  <Choice value="cat"/><Choice value="dog"/></Choices></View>"""
TASKS = {
    "tasks": [{"id": 1, "data": {"text": "x"}}],
    "label_config": CONFIG,
}
BODIES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("PATCH", "/v1/jobs/{job_id}"): {"json": {"weight": 2.0}},
    ("POST", "/v1/jobs/{job_id}/assignments"): {
        "json": {"workers": [{"worker_id": "w", "count": 1}]}
    },
    ("HEAD", "/v1/uploads/{upload_id}"): {"headers": TUS},
    ("PATCH", "/v1/uploads/{upload_id}"): {"headers": PIECE, "content": b"x"},
    ("DELETE", "/v1/uploads/{upload_id}"): {"headers": TUS},
    ("POST", "/v1/models/{name}/live"): {"json": {"version": 0}},
    ("POST", "/v1/models/{name}/rollback"): {"json": {}},
    ("POST", "/v1/models/{name}/predictions"): {"json": {"items": [{"id": "1", "text": "x"}]}},
    ("POST", "/v1/workers/{worker_id}/claims"): {"json": {"count": 1}},
    ("POST", "/v1/workers/{worker_id}/answers"): {"json": {"answers": []}},
    ("POST", "/v1/workers/{worker_id}/releases"): {"json": {"tokens": []}},
    ("POST", "/v1/workers/{worker_id}/heartbeats"): {"json": {"tokens": []}},
    ("POST", "/inference/v2/models/{name}/infer"): {"json": TENSOR},
    ("POST", "/inference/v2/models/{name}/versions/{version}/infer"): {"json": TENSOR},
    ("POST", "/label-studio/{line}/setup"): {"json": {"project": "1", "schema": CONFIG}},
    ("POST", "/label-studio/{line}/predict"): {"json": TASKS},
    ("PUT", "/v1/quotas/{tenant_id}"): {"json": {}},
    ("POST", "/label-studio/{line}/webhook"): {"json": {"action": "PROJECT_UPDATED"}},
}
ALIKE_FOR_ALL = {("GET", "/label-studio/{line}/metrics"), ("POST", "/label-studio/{line}/webhook")}
"""What answers without looking at the line that is named."""

ADMINS_OWN = ("/v1/keys/", "/v1/quotas/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One request for something of another tenant's, and what came of it."""

    method: str
    template: str
    ids: Mapping[str, str]
    is_own_kind: bool
    response: Response

    @property
    def fault(self) -> str | None:
        """Why this is a leak, None where it is none."""
        told = f"{self.method} {self.template} {dict(self.ids)}: {self.response.status_code}"
        answer = f"{self.response.text} {self.response.headers}"
        if MARK in answer or ENCODED in answer:
            return f"{told} tells of what is another's: {self.response.text[:200]}"
        return None if self.response.status_code in self._allowed() else told

    def _allowed(self) -> set[int]:
        if self.template.startswith(ADMINS_OWN):
            return {403}
        if (self.method, self.template) in ALIKE_FOR_ALL:
            return {200, 201}
        return {404} if self.is_own_kind else {400, 404, 422}


def rivals_own(world: World) -> Mapping[str, str]:
    """Give the rival something of every kind; return its ids by the names paths have for them."""
    job = job_body(name=MARK, items=[{"id": f"{MARK}-1", "text": MARK}])
    made = world.post("/v1/jobs", job, tenant=RIVAL).json()
    stored = world.stores.jobs.load(made["id"])
    deliver(world, stored, [2])
    world.moved(stored, JobState.COMPLETED)
    world.stores.objects.write(paths.export(stored.job_id, "jsonl"), MARK.encode())
    world.stores.objects.write(paths.errors(stored.job_id), MARK.encode())
    hook = {"url": f"https://hooks.example/{MARK}", "events": ["job.completed"]}
    begun = {**TUS, "Upload-Length": "9", "Upload-Metadata": f"filename {ENCODED}"}
    upload = world.call("POST", "/v1/uploads", "client", RIVAL, headers=begun)
    form = {"purpose": (None, "batch"), "file": (f"{MARK}.jsonl", MARK.encode())}
    add_versions(world, "pets", 2, RIVAL)
    return {
        "job_id": made["id"],
        "upload_id": upload.json()["id"],
        "webhook_id": world.post("/v1/webhooks", hook, tenant=RIVAL).json()["id"],
        "worker_id": world.worker(MARK, RIVAL),
        "file_id": world.call("POST", "/openai/v1/files", "client", RIVAL, files=form).json()["id"],
        "batch_id": f"batch_{made['id']}",
        "name": "pets",
        "line": "pets",
        "version": "0",
        "key_id": f"{RIVAL}-client",
        "tenant_id": RIVAL,
    }


def templates(world: World) -> Mapping[str, frozenset[str]]:
    """Return the methods of every path that has an id in it."""
    found: dict[str, set[str]] = {}
    for each in iter_route_contexts(world.http.app.routes):  # type: ignore[attr-defined]
        if "{" in (each.path or ""):
            found.setdefault(each.path or "", set()).update(each.methods or ())
    return {path: frozenset(methods) for path, methods in found.items()}


def probes(world: World, ids: Mapping[str, str]) -> Iterator[Probe]:
    """Ask as another tenant for everything, by its own id and by the ids of all other kinds."""
    for template, methods in templates(world).items():
        role: Role = "worker" if template.startswith("/v1/workers/") else "client"
        names = re.findall(r"\{(\w+)\}", template)
        kinds = [{name: ids[name] for name in names}]
        kinds += [dict.fromkeys(names, other) for other in dict.fromkeys(ids.values())]
        for method in VERBS:
            for chosen in kinds if method in methods else ():
                world.clock.time += 0.02  # so that no key comes over its rate
                sent = BODIES.get((method, template), {})
                yield Probe(
                    method=method,
                    template=template,
                    ids=chosen,
                    is_own_kind=chosen is kinds[0],
                    response=world.call(method, template.format(**chosen), role, **sent),
                )


def rivals_state(world: World, ids: Mapping[str, str]) -> tuple[object, ...]:
    """Return all of the rival's that a probe could have changed."""
    stores, tenant_id = world.stores, TenantId(RIVAL)
    job = stores.jobs.load(ids["job_id"])  # type: ignore[arg-type]
    return (
        job,
        stores.events.newest(job.job_id),
        stores.uploads.get(tenant_id, ids["upload_id"]),
        stores.webhooks.get(tenant_id, ids["webhook_id"]),
        stores.workers.get(WorkerId(ids["worker_id"])),
        stores.lines.standing(f"{RIVAL}/pets"),  # type: ignore[arg-type]
        stores.quotas.usage(tenant_id),
    )
