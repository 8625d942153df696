"""Personal data in a job's texts: masked for models and workers, refused where it cannot be."""

import sys
from importlib.util import find_spec
from typing import Any

import pytest

from cluster.domain.ids import JobId
from tests.unit.gateway.running import run_job
from tests.unit.gateway.world import World, job_body, problem

needs_presidio = pytest.mark.skipif(
    find_spec("presidio_analyzer") is None, reason="needs the extra pii"
)
MASK = {"mask": ["EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD"]}
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


def shown_while_run(world: World, job_id: str) -> set[str]:
    """Run a job to its end with workers who answer, and return the texts they were shown."""
    shown = set[str]()
    workers = [world.worker(name) for name in ("ann", "bob", "eve")]

    def crowd_answers() -> None:
        for worker in workers:
            offers = claimed(world, worker)
            shown.update(offer["item"]["text"] for offer in offers)
            answers = [{"token": offer["token"], "label": "refund"} for offer in offers]
            if answers:
                world.post(f"/v1/workers/{worker}/answers", {"answers": answers}, "worker")

    run_job(world, job_id, meanwhile=crowd_answers)
    return shown


def claimed(world: World, worker: str, tenant: str = "acme") -> list[dict[str, Any]]:
    response = world.post(f"/v1/workers/{worker}/claims", {"count": 8}, "worker", tenant)
    assert response.status_code == 200, response.text
    offers: list[dict[str, Any]] = response.json()["offers"]
    return offers


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
    shown = shown_while_run(world, job_id)
    # Then workers saw placeholders, and nothing that is stored of the job has what they stand for
    assert shown == MASKED
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
