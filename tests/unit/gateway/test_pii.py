"""Personal data in a job's texts: masked for models and workers, refused where it cannot be."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import pytest

from cluster import paths
from cluster.domain.audit import Act, AuditEntry
from cluster.domain.ids import JobId
from cluster.errors import StoreBusy
from cluster.ports import Stores
from cluster.settings import RetentionSettings
from cluster.stores.memory.audit import MemoryAudit
from serve_apps.gateway.acting import details_of
from serve_apps.gateway.unmasking import Unmasking
from serve_apps.jobs.sweep import sweep
from tests.unit.gateway.running import run_job
from tests.unit.gateway.world import TENANT, World, job_body, problem

needs_presidio = pytest.mark.skipif(
    find_spec("presidio_analyzer") is None, reason="needs the extra pii"
)
MASK = {"mask": ["EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD"]}
UNMASKED_FOR_CLEARED = {**MASK, "unmask_for_cleared": True}
SECRETS = ("ann.smith@example.com", "4111 1111 1111 1111", "212-555-5555", "b@intern.local")
ITEMS = [
    {"id": "i0", "text": f"Refund my card {SECRETS[1]} and write to {SECRETS[0]}"},
    {"id": "i1", "text": "Where is my parcel?"},
    {"id": "i2", "text": f"Call {SECRETS[2]} or {SECRETS[3]}, not {SECRETS[2]}"},
]
MASKED = {
    "Refund my card <CREDIT_CARD_1> and write to <EMAIL_ADDRESS_1>",
    "Where is my parcel?",
    "Call <PHONE_NUMBER_1> or <EMAIL_ADDRESS_1>, not <PHONE_NUMBER_1>",
}


def submitted(world: World, **changes: object) -> str:
    """Submit a job whose texts are masked and return its id."""
    body: dict[str, object] = {
        "items": ITEMS,
        "labels": ["refund", "delivery"],
        "base_model": "fake",
        "pii": MASK,
        "budget": {"answers_max": 9, "deadline_s": 60},
        "crowd": {"audit_share": 0, "audit_items_min": 0},
    }
    response = world.post("/v1/jobs", job_body(**{**body, **changes}))
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


@dataclass(frozen=True, kw_only=True)
class Crew:
    """A worker who acts by a key of its own, and all texts it was shown."""

    world: World
    key: str
    worker_id: str
    shown: set[str] = field(default_factory=set)

    @classmethod
    def with_key(cls, world: World, key: str) -> Self:
        """Register a worker by a key."""
        response = world.http.post("/v1/workers", json={"name": "ann"}, headers=bearer(key))
        return cls(world=world, key=key, worker_id=response.json()["id"])

    def work(self) -> None:
        """Answer up to eight questions, if there are some."""
        url, headers = f"/v1/workers/{self.worker_id}", bearer(self.key)
        response = self.world.http.post(f"{url}/claims", json={"count": 8}, headers=headers)
        assert response.status_code == 200, response.text
        offers = response.json()["offers"]
        self.shown.update(offer["item"]["text"] for offer in offers)
        answers = [{"token": offer["token"], "label": "refund"} for offer in offers]
        if answers:
            self.world.http.post(f"{url}/answers", json={"answers": answers}, headers=headers)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def cleared_key(world: World, tenant: str = TENANT) -> str:
    """Return a worker key that an admin has issued, cleared for personal data."""
    body = {"tenant_id": tenant, "role": "worker", "clearances": ["pii"]}
    response = world.post("/v1/keys", body, "admin")
    assert response.json()["clearances"] == ["pii"], response.text
    return str(response.json()["key"])


def acts(world: World) -> list[Act]:
    """Return the acts of unmasking in the audit log."""
    entries = world.stores.audit.read(0, 1_000)
    return [entry.act for entry in entries if entry.act.action == "item.unmask"]


@pytest.fixture
def sealing(stores: Stores, tmp_path: Path) -> Iterator[World]:
    """Return a gateway that has a key to seal originals with."""
    with World.of(stores, tmp_path, encryption_keys=("k" * 32,)) as opened:
        yield opened


@needs_presidio
def test_workers_models_and_exports_see_placeholders_only(world: World) -> None:
    # Given a job with personal data in its texts, all of which is to be masked
    job_id = submitted(world)
    assert world.get(f"/v1/jobs/{job_id}").json()["pii"] == {
        **MASK,
        "score_min": 0.4,
        "unmask_for_cleared": False,
    }
    # When it runs to its end
    ann = Crew.with_key(world, world.key("worker"))
    run_job(world, job_id, meanwhile=ann.work)
    # Then workers saw placeholders, and nothing that is stored of the job has what they stand for
    assert ann.shown == MASKED
    objects = world.stores.objects
    for path in objects.list(f"jobs/{job_id}"):
        assert not any(secret.encode() in objects.read(path) for secret in SECRETS), path
    contents = {item.content for item in world.services.items.fetch(JobId(job_id), [0, 1, 2])}
    assert contents == MASKED
    # And the client gets the labels by its own ids
    export = world.get(f"/v1/jobs/{job_id}/export?format=jsonl").text
    assert export.count('"item_id"') == 3
    assert not any(secret in export for secret in SECRETS)


def test_what_cannot_be_masked_here_is_refused_and_nothing_is_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    response = world.post("/v1/jobs", job_body(pii=MASK))
    found = problem(response, 422, "invalid-field")
    assert found.detail == "pii: nothing is masked here: the extra `pii` is not installed"
    assert world.get("/v1/jobs").json()["jobs"] == []
    assert list(world.stores.objects.list("uploads")) == []


@needs_presidio
def test_cleared_workers_of_the_tenant_see_what_was_there_and_nobody_else(sealing: World) -> None:
    # Given jobs that let cleared workers see, each with one worker
    originals = {str(item["text"]) for item in ITEMS}
    cleared, rivals = cleared_key(sealing), cleared_key(sealing, "umbrella")
    for key, expected in (
        (cleared, originals),
        (sealing.key("worker"), MASKED),
        (sealing.key("admin"), MASKED),
        (rivals, MASKED),
    ):
        job_id = submitted(sealing, pii=UNMASKED_FOR_CLEARED)
        worker = Crew.with_key(sealing, key)
        # When they run to their end
        run_job(sealing, job_id, meanwhile=worker.work)
        # Then a cleared worker of the tenant has seen what was there, any other placeholders
        assert worker.shown == expected
    # And it is stored sealed, beside chunks without it
    objects = sealing.stores.objects
    assert paths.vault(JobId(job_id), 0) in set(objects.list(f"jobs/{job_id}"))
    for path in objects.list(f"jobs/{job_id}"):
        assert not any(secret.encode() in objects.read(path) for secret in SECRETS), path
    # And the client's export holds nothing of it
    export = sealing.get(f"/v1/jobs/{job_id}/export?format=jsonl").text
    assert not any(secret in export for secret in SECRETS)


@needs_presidio
def test_each_unmasking_is_an_act_that_says_of_what_and_to_whom(sealing: World) -> None:
    # Given a cleared worker who has answered all questions of a job in one claim
    job_id = submitted(sealing, pii=UNMASKED_FOR_CLEARED)
    cleared = Crew.with_key(sealing, cleared_key(sealing))
    run_job(sealing, job_id, meanwhile=cleared.work)
    # Then there is one act, of the items in which something was masked
    (act,) = acts(sealing)
    told = Unmasking(worker_id=cleared.worker_id, job_id=job_id, positions=(0, 2))
    assert (act.subject, act.tenant_id, act.details_sha256) == (job_id, TENANT, details_of(told))
    assert act.actor in cleared.key
    assert act.request_id


class BusyAudit(MemoryAudit):
    """An audit log that cannot take any act of unmasking now."""

    def append(self, act: Act) -> AuditEntry:
        if act.action == "item.unmask":
            raise StoreBusy("append act")
        return super().append(act)


@needs_presidio
def test_what_cannot_be_recorded_is_not_shown(stores: Stores, tmp_path: Path) -> None:
    # Given a gateway whose audit log is busy while a cleared worker claims
    audited = replace(stores, audit=BusyAudit())
    with World.of(audited, tmp_path, encryption_keys=("k" * 32,)) as world:
        job_id = submitted(world, pii=UNMASKED_FOR_CLEARED)
        cleared = Crew.with_key(world, cleared_key(world))
        refusals = list[str]()

        def claims() -> None:
            url = f"/v1/workers/{cleared.worker_id}/claims"
            response = world.http.post(url, json={"count": 8}, headers=bearer(cleared.key))
            if response.status_code != 200:
                problem(response, 503, "store-busy")
                refusals.append(response.text)

        # When the job runs to its end
        run_job(world, job_id, meanwhile=claims)
    # Then the worker was refused, and has seen nothing
    assert refusals
    assert not any(secret in refusal for secret in SECRETS for refusal in refusals)


@needs_presidio
def test_a_vault_that_does_not_open_ends_nobodys_work(sealing: World) -> None:
    job_id = submitted(sealing, pii=UNMASKED_FOR_CLEARED)
    cleared = Crew.with_key(sealing, cleared_key(sealing))
    objects = sealing.stores.objects

    def damaged() -> None:
        for path in objects.list(f"jobs/{job_id}"):
            if "vault" in path:
                objects.write(path, b"damaged")
        cleared.work()

    # When the job runs, and somebody has damaged what was masked
    run_job(sealing, job_id, meanwhile=damaged)
    # Then cleared workers work on as others do, and nothing is told to have been shown
    assert cleared.shown == MASKED
    assert acts(sealing) == []


@needs_presidio
def test_without_the_jobs_leave_nothing_is_kept_and_nobody_sees_it(sealing: World) -> None:
    job_id = submitted(sealing)
    cleared = Crew.with_key(sealing, cleared_key(sealing))
    run_job(sealing, job_id, meanwhile=cleared.work)
    assert cleared.shown == MASKED
    assert not any("vault" in path for path in sealing.stores.objects.list(f"jobs/{job_id}"))
    assert acts(sealing) == []


@needs_presidio
def test_what_was_masked_goes_when_the_job_expires(sealing: World) -> None:
    job_id = submitted(sealing, pii=UNMASKED_FOR_CLEARED, expires_after_s=60)
    run_job(sealing, job_id)
    sealing.clock.time += 61
    sweep(sealing.stores, RetentionSettings(), sealing.clock)
    assert list(sealing.stores.objects.list(f"jobs/{job_id}")) == []
    assert list(sealing.stores.objects.list("uploads")) == []


@needs_presidio
def test_originals_are_not_kept_without_a_key_to_seal_them_with(world: World) -> None:
    response = world.post("/v1/jobs", job_body(pii=UNMASKED_FOR_CLEARED))
    found = problem(response, 422, "invalid-field")
    assert "there are no encryption keys here" in str(found.detail)
    assert world.get("/v1/jobs").json()["jobs"] == []


def test_nobody_clears_themselves(world: World) -> None:
    # A worker cannot say it of itself, only an admin issues keys, and only to workers
    declared = world.post("/v1/workers", {"name": "eve", "clearances": ["pii"]}, "worker")
    problem(declared, 422, "invalid-request")
    body = {"tenant_id": TENANT, "role": "worker", "clearances": ["pii"]}
    for role in ("worker", "client"):
        problem(world.post("/v1/keys", body, role), 403, "wrong-role")
    for role in ("client", "admin"):
        problem(world.post("/v1/keys", {**body, "role": role}, "admin"), 422, "invalid-field")


@needs_presidio
def test_names_are_refused_without_a_model_that_knows_names(world: World) -> None:
    response = world.post("/v1/jobs", job_body(pii={"mask": ["PERSON", "EMAIL_ADDRESS"]}))
    found = problem(response, 422, "invalid-field")
    assert found.detail == "pii.mask: no model here recognises PERSON"
    assert found.errors[0].pointer == "#/pii/mask"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"modality": "image", "items": [{"id": "i", "image": "aGk="}]}, "in texts, not in images"),
        ({"items": None, "upload_id": "u", "format": "manifest"}, "given back whole"),
    ],
)
def test_what_would_not_stay_masked_is_refused(
    world: World, changes: dict[str, object], detail: str
) -> None:
    response = world.post("/v1/jobs", job_body(pii=MASK, **changes))
    assert detail in str(problem(response, 422, "invalid-field").detail)


@pytest.mark.parametrize(
    "pii", [{}, {"mask": []}, {"mask": ["NAME"]}, {**MASK, "score_min": 2}, {**MASK, "vault": 1}]
)
def test_what_means_nothing_is_refused(world: World, pii: dict[str, object]) -> None:
    assert world.post("/v1/jobs", job_body(pii=pii)).status_code == 422
