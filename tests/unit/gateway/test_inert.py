"""No answer runs anything in a browser; a key is checked alike whatever is wrong with it."""

import hmac
from dataclasses import replace

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from cluster.domain.access import KeyRecord
from cluster.domain.ids import KeyId, TenantId
from cluster.domain.jobs import JobState
from cluster.errors import Unauthenticated
from serve_apps.gateway.api import build_api
from serve_apps.gateway.inert import HEADERS
from serve_apps.gateway.keys import mint, presented_key
from tests.unit.gateway.test_results import deliver
from tests.unit.gateway.world import World, job_body

SCRIPT = "<script>alert(1)</script>"


def test_every_answer_is_inert_in_a_browser(world: World) -> None:
    # Given a job whose texts are scripts
    job = world.submitted(name=SCRIPT, items=[{"id": SCRIPT, "text": SCRIPT}])
    deliver(world, job, [2])
    world.moved(job, JobState.COMPLETED)
    answers = [
        world.get(f"/v1/jobs/{job.job_id}"),
        world.get(f"/v1/jobs/{job.job_id}/results", params={"format": "csv"}),
        world.get(f"/v1/jobs/{job.job_id}/errors"),
        world.get(f"/v1/jobs/{SCRIPT}"),
        world.post("/v1/jobs", job_body(name=SCRIPT, modality=SCRIPT)),
        world.get("/openai/v1/files"),
        world.http.get("/v1/jobs"),
        world.http.get("/openapi.json"),
        world.http.get(f"/{SCRIPT}"),
    ]
    app = build_api(world.services)
    app.add_route("/v1/broken", _break, methods=["GET"])
    broken = TestClient(app, raise_server_exceptions=False)
    answers.append(broken.get("/v1/broken", headers=answers[0].request.headers))
    assert answers[-1].status_code == 500
    assert len({answer.status_code for answer in answers}) > 3
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert "html" not in answer.headers["content-type"]


def _break(request: Request) -> Response:
    raise KeyError(SCRIPT, request.url.path)


@pytest.mark.parametrize("wrong", ["nothing", "first", "last", "all", "unknown", "revoked"])
def test_a_key_is_compared_alike_whatever_is_wrong_with_it(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    # Given a key, and one that is wrong at its beginning, its end, all over, unknown or revoked
    minted = mint(KeyId("k-1"), TenantId("acme"), "client", 1.0, bytes(range(32)))
    head, _, secret = minted.text.rpartition("_")
    sent = {"first": "x" + secret[1:], "last": secret[:-1] + "x", "all": "x" * len(secret)}
    record: KeyRecord | None = minted.record
    if wrong == "unknown":
        record = None
    elif wrong == "revoked":
        record = replace(minted.record, revoked=True)
    compared: list[tuple[int, int]] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((len(left), len(right)))
        return same(left, right)

    same = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    # When each is checked
    key = presented_key(f"Bearer {head}_{sent.get(wrong, secret)}")
    if wrong == "nothing":
        assert key.caller(record).key_id == "k-1"
    else:
        with pytest.raises(Unauthenticated):
            key.caller(record)
    # Then one comparison in constant time was made, of two hashes, and no other
    assert compared == [(32, 32)]
