"""The wire format changes only on purpose: the OpenAPI document is compared with a stored one.

After a change that is meant, `make openapi` writes the new document.
"""

import json
from pathlib import Path

from serve_apps.gateway.openapi import openapi_text
from tests.unit.gateway.world import World

SNAPSHOT = Path(__file__).with_name("openapi.json")


def test_the_openapi_document_is_the_stored_one(world: World) -> None:
    assert openapi_text() == SNAPSHOT.read_text(), "run `make openapi` if this change is meant"
    assert world.http.get("/openapi.json").json() == json.loads(SNAPSHOT.read_text())


def test_every_error_is_documented_as_a_problem() -> None:
    document = json.loads(SNAPSHOT.read_text())
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            default = operation["responses"]["default"]["content"]
            assert list(default) == ["application/problem+json"], (method, path)
            assert "HTTPValidationError" not in json.dumps(operation)


def test_every_operation_says_what_it_needs() -> None:
    document = json.loads(SNAPSHOT.read_text())
    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert operation["description"]
