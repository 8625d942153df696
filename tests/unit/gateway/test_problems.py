"""One table maps every error to one problem document, and nothing inside gets out."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cluster import errors, replica_errors, storage_errors, tenant_errors, upload_errors
from cluster.domain.access import KeyRecord
from cluster.domain.ids import JobId, KeyId
from cluster.errors import JobNotFound, MusterError, ObjectMissing, Overloaded, StoreBusy
from cluster.stores.memory.audit import MemoryAudit
from cluster.stores.memory.people import MemoryKeys
from serve_apps.gateway.api import build_api
from serve_apps.gateway.known_keys import KnownKeys
from serve_apps.gateway.problems import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    KINDS,
    pointer_to,
    problem_of,
    problem_response,
)
from tests.unit.gateway.world import World, problem

MODULES = tuple(
    module.__name__
    for module in (errors, replica_errors, storage_errors, tenant_errors, upload_errors)
)


def leaves(node: type[MusterError] = MusterError) -> Iterator[type[MusterError]]:
    """Yield the errors that have no kinds of their own, as the tree's modules define them."""
    children = [child for child in node.__subclasses__() if child.__module__ in MODULES]
    if not children:
        yield node
    for child in children:
        yield from leaves(child)


def test_every_leaf_of_the_error_tree_has_its_problem() -> None:
    assert set(KINDS) == set(leaves())


def test_problem_types_are_unique_and_statuses_fit_the_tree() -> None:
    assert len({kind.slug for kind in KINDS.values()}) == len(KINDS)
    for leaf, kind in KINDS.items():
        expected = {500} if issubclass(leaf, errors.Fault) else set(range(400, 500)) | {503, 507}
        if leaf not in (errors.JobCancelled, errors.JobPaused):
            assert kind.status in expected, leaf


def test_a_problem_says_what_the_error_says() -> None:
    found = problem_of(JobNotFound(JobId("job-7")), "/v1/jobs/job-7")
    assert found.model_dump(exclude_none=True, exclude_defaults=True) == {
        "type": "urn:muster:problem:job-not-found",
        "title": "There is no such job",
        "status": 404,
        "detail": "there is no job job-7",
        "instance": "/v1/jobs/job-7",
    }


def test_a_fault_keeps_its_text_to_itself() -> None:
    found = problem_of(ObjectMissing("jobs/job-1/secret-path"))
    assert "secret-path" not in found.model_dump_json()
    assert (found.status, found.title) == (500, "A stored object is missing")


def test_what_is_unavailable_says_when_to_come_back() -> None:
    busy = Overloaded("the queue", 10)
    busy.retry_after_s = 2.2
    response = problem_response(problem_of(busy))
    assert (response.status_code, response.headers["retry-after"]) == (503, "3")


@pytest.mark.parametrize(
    ("steps", "pointer"),
    [((), "#"), (("items", 3, "text"), "#/items/3/text"), (("a/b", "c~d"), "#/a~1b/c~0d")],
)
def test_pointers(steps: tuple[str | int, ...], pointer: str) -> None:
    assert pointer_to(*steps) == pointer


def test_an_unforeseen_error_is_recorded_and_not_shown(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a gateway with a defect in it
    app = build_api(world.services)

    def broken() -> None:
        raise ZeroDivisionError("the secret of /v1/broken")

    app.add_api_route("/v1/broken", broken)
    key = {"Authorization": f"Bearer {world.key('client')}"}
    http = TestClient(app, headers=key, raise_server_exceptions=False)
    # When a request meets it
    with caplog.at_level(logging.ERROR):
        response = http.get(
            "/v1/broken", headers={"Authorization": f"Bearer {world.key('client')}"}
        )
    # Then the caller learns nothing of it, and the log all
    assert "secret" not in problem(response, 500, "internal-error").model_dump_json()
    assert "the secret of /v1/broken" in caplog.text


def test_a_busy_database_at_the_gate_is_a_problem_too(world: World) -> None:
    # Given a key store that cannot answer in time
    app = build_api(world.services)
    gate = next(found for found in app.user_middleware if "keys" in found.kwargs)

    class Busy(MemoryKeys):
        def find(self, key_id: KeyId) -> KeyRecord | None:
            raise StoreBusy(f"finding {key_id}")

    gate.kwargs["keys"] = KnownKeys(Busy(MemoryAudit()), world.clock, kept_s=1.0)
    response = TestClient(app).get(
        "/v1/jobs", headers={"Authorization": f"Bearer {world.key('client')}"}
    )
    # Then the caller is told when to come back
    assert problem(response, 503, "store-busy").retry_after_s == 1.0
    assert response.headers["retry-after"] == "1"


def test_every_problem_type_is_documented() -> None:
    prose = (Path(__file__).parents[3] / "docs" / "http-api.md").read_text()
    rows = [line for line in prose.splitlines() if re.match(r"\| \d{3}", line)]
    for kind in (*KINDS.values(), INVALID_REQUEST, INTERNAL_ERROR):
        assert any(str(kind.status) in row and f"`{kind.slug}`" in row for row in rows), kind
