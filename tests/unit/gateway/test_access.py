"""Who may enter: keys, roles, and a wall that no route is outside of."""

import hmac
import re
from collections.abc import Iterator
from hashlib import sha256

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from cluster.domain.access import Caller, Role
from cluster.domain.ids import KeyId, TenantId
from cluster.errors import Unauthenticated
from cluster.ports import KeyStore, Stores
from cluster.stores.memory.audit import MemoryAudit
from cluster.stores.memory.people import MemoryKeys
from serve_apps.gateway.api import DIALECTS, build_api
from serve_apps.gateway.gate import OPEN_PATHS
from serve_apps.gateway.keys import ensure_development_keys, mint, presented_key
from serve_apps.gateway.strict_json import StrictJsonRoute
from tests.unit.gateway.world import World, problem

ROUTE_ROLES: dict[str, tuple[Role, ...]] = {
    "/openai/v1": ("client", "admin"),
    "/inference": ("client", "admin"),
    "/label-studio": ("client", "admin"),
    "/v1/uploads": ("client", "admin"),
    "/v1/jobs": ("client", "admin"),
    "/v1/webhooks": ("client", "admin"),
    "/v1/models": ("client", "admin"),
    "/v1/workers": ("worker", "admin"),
    "/v1/keys": ("admin",),
    "/v1/quotas": ("admin",),
    "/v1/audit": ("admin",),
    "/v1/quota": ("client", "admin"),
}


@pytest.fixture
def world(shared_world: World) -> World:
    return shared_world


def operations(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield the method and a filled-in path of every route there is, in the schema or not."""
    for found in iter_route_contexts(app.routes):
        for method in sorted(found.methods or ()):
            yield method, re.sub(r"\{\w+\}", "x-1", found.path or "")


def told_otherwise(path: str) -> bool:
    """Whether an adapter turns problems into the errors of its protocol here."""
    return any(path.startswith(f"{dialect.prefix}/") for dialect in DIALECTS)


def test_every_route_is_closed_to_strangers(world: World) -> None:
    # Given every operation the API tells of, and some it does not have
    app = build_api(world.services)
    known = [found for found in operations(app) if found[1] not in OPEN_PATHS]
    assert len(known) >= 22
    for method, path in [*known, ("GET", "/v1/none"), ("GET", "/docs"), ("POST", "/")]:
        # Then without a key each is refused alike, before it looks at anything
        response = world.http.request(method, path, content=b"{")
        if method == "HEAD":  # which has no body to tell more
            assert response.status_code == 401
            continue
        if told_otherwise(path):
            assert (response.status_code, response.json().keys()) == (401, {"error"})
            continue
        found = problem(response, 401, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer" in found.detail


def test_only_reviewed_paths_are_open(world: World) -> None:
    for path in OPEN_PATHS:
        assert world.http.get(path).status_code == 200


def test_a_route_planted_beside_the_api_is_closed_too(world: World) -> None:
    # Given a route that somebody adds without any dependency
    app = build_api(world.services)
    app.add_route("/planted", lambda _: None, methods=["GET"])  # type: ignore[arg-type, return-value]
    # Then the gate stands before it
    assert problem(TestClient(app).get("/planted"), 401, "unauthenticated").detail


def test_the_root_router_refuses_even_without_the_gate(world: World) -> None:
    # Given an app whose gate was forgotten
    app = build_api(world.services)
    app.user_middleware.clear()
    http = TestClient(app)
    closed = [path for method, path in operations(app) if method == "GET"]
    refused = [http.get(path).status_code for path in closed if path not in OPEN_PATHS]
    assert len(refused) > 10
    assert set(refused) == {401}


def test_sockets_are_refused(world: World) -> None:
    with pytest.raises(WebSocketDisconnect) as refused, world.http.websocket_connect("/v1/jobs"):
        pass
    assert refused.value.code == 1008


@pytest.mark.parametrize("role", ["client", "worker", "admin"])
def test_every_route_wants_its_role(world: World, role: Role) -> None:
    for method, path in operations(build_api(world.services)):
        allowed = next((ROUTE_ROLES[head] for head in ROUTE_ROLES if path.startswith(head)), None)
        if allowed is None or role in allowed:
            continue
        response = world.call(method, path, role, json={})
        if method == "HEAD":  # which has no body to tell more
            assert response.status_code == 403
            continue
        if told_otherwise(path):
            assert (response.status_code, response.json().keys()) == (403, {"error"})
            continue
        found = problem(response, 403, "wrong-role")
        assert found.detail == f"a {role} key may not do this; it needs {' or '.join(allowed)}"


def test_every_json_body_is_parsed_strictly(world: World) -> None:
    routes = [
        found.original_route for found in iter_route_contexts(build_api(world.services).routes)
    ]
    with_body = [found for found in routes if getattr(found, "body_field", None) is not None]
    assert len(with_body) >= 6
    assert all(isinstance(found, StrictJsonRoute) for found in with_body)


def test_a_revoked_key_is_refused_at_once(world: World) -> None:
    assert world.get("/v1/jobs", tenant="initech").status_code == 200
    assert world.call("DELETE", "/v1/keys/initech-client", "admin").status_code == 204
    problem(world.get("/v1/jobs", tenant="initech"), 401, "unauthenticated")


def test_an_admin_issues_a_key_that_works(world: World) -> None:
    issued = world.post("/v1/keys", {"tenant_id": "hooli", "role": "client"}, "admin")
    assert issued.status_code == 201
    key = issued.json()["key"]
    listed = world.http.get("/v1/jobs", headers={"Authorization": f"bearer {key}"})
    assert listed.status_code == 200
    refused = world.post("/v1/keys", {"tenant_id": "Ho/oli", "role": "client"}, "admin")
    assert problem(refused, 422, "invalid-request").errors[0].pointer == "#/tenant_id"


def caller_of(keys: KeyStore, authorization: str | None) -> Caller:
    key = presented_key(authorization)
    return key.caller(keys.find(key.key_id))


def test_a_key_revoked_by_another_gateway_works_for_a_moment_only(world: World) -> None:
    # Given a key this gateway has just looked up, which another one revokes
    issued = world.post("/v1/keys", {"tenant_id": "hooli", "role": "client"}, "admin").json()
    headers = {"Authorization": f"Bearer {issued['key']}"}
    assert world.http.get("/v1/jobs", headers=headers).status_code == 200
    world.stores.keys.revoke(KeyId(issued["id"]))
    # When the moment is over
    world.clock.time += world.services.settings.http.key_kept_s
    # Then it is refused
    problem(world.http.get("/v1/jobs", headers=headers), 401, "unauthenticated")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic {key}",
        "{key}",
        "Bearer {key}x",
        "Bearer x{key}",
        "Bearer msk_nobody_" + "A" * 43,
        "Bearer msk_acme-client_" + "B" * 43,
        "Bearer msk_acme-client_",
    ],
)
def test_a_wrong_header_is_refused(world: World, header: str | None) -> None:
    text = world.key("client")
    with pytest.raises(Unauthenticated):
        caller_of(world.stores.keys, header and header.format(key=text))


@given(st.text())
def test_no_header_breaks_the_gate(header: str) -> None:
    with pytest.raises(Unauthenticated):
        caller_of(MemoryKeys(MemoryAudit()), header)


@given(randomness=st.binary(min_size=32, max_size=32))
def test_a_minted_key_opens_and_only_its_hash_is_kept(randomness: bytes) -> None:
    minted = mint(KeyId("k-1"), TenantId("acme"), "worker", 5.0, randomness)
    keys = MemoryKeys(MemoryAudit())
    keys.add(minted.record)
    caller = caller_of(keys, f"Bearer {minted.text}")
    assert (caller.key_id, caller.tenant_id, caller.role) == ("k-1", "acme", "worker")
    secret = minted.text.removeprefix("msk_k-1_")
    assert hmac.compare_digest(minted.record.secret_sha256, sha256(secret.encode()).digest())
    assert secret not in repr(minted.record)


@pytest.mark.parametrize(("key_id", "size"), [("Acme", 32), ("a_b", 32), ("", 32), ("a", 31)])
def test_a_key_that_could_not_be_read_back_is_not_minted(key_id: str, size: int) -> None:
    with pytest.raises(ValueError, match="no key can be made"):
        mint(KeyId(key_id), TenantId("acme"), "client", 0.0, bytes(size))


def test_development_keys_are_made_once(stores: Stores) -> None:
    # When the development keys are ensured twice
    random_bytes = iter(range(100)).__next__
    first, second = (
        ensure_development_keys(
            stores.keys, TenantId("dev"), 1.0, lambda size: random_bytes().to_bytes(size, "big")
        )
        for _ in range(2)
    )
    # Then there is one a role, told only the first time, and each works
    assert [minted.record.role for minted in first] == ["client", "worker", "admin"]
    assert second == ()
    for minted in first:
        assert caller_of(stores.keys, f"Bearer {minted.text}").role == minted.record.role
