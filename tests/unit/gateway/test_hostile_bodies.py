"""Every route of the application that takes JSON, sent what parsers fail on: none breaks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from cluster.domain.access import Role
from cluster.settings import Limits
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from tests.unit.gateway.foreign import RIVAL, rivals_own
from tests.unit.gateway.world import World

MIB = 2**20

NO_JSON: Mapping[str, bytes] = {
    "arrays 250 deep": b"[" * 250 + b"]" * 250,
    "objects 100,000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "an integer of 5,000 digits": b'{"seed": ' + b"9" * 5_000 + b"}",
    "more than one document": b"{}" * 1_000,
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "half a surrogate": b'{"name": "\\ud800"}',
    "NaN": b'{"seed": NaN}',
}
"""What every route that takes JSON refuses before anything else looks at it."""

VALUES: Mapping[str, bytes] = {
    "arrays 150 deep": b"[" * 150 + b"]" * 150,
    "an integer of 4,000 digits": b"9" * 4_000,
    "a fraction of 5,000 digits": b"0." + b"1" * 5_000,
    "an exponent of 5,000 digits": b"1e" + b"9" * 5_000,
    "minus zero": b"-0",
    "10,000 nulls": b"[" + b"null," * 10_000 + b"null]",
    "a text of half a MiB": b'"' + b"x" * (MIB // 2) + b'"',
    "a thousand times one key": b"{" + b'"a": 1, ' * 1_000 + b'"a": 1}',
}
"""What is JSON, and is no value of any field but by chance."""

TENSORS = ("id", "inputs", "outputs", "parameters")
"""Fields of the one body that is not typed, as it may be binary."""

ROLES: Mapping[str, Role] = {"workers": "worker", "keys": "admin", "quotas": "admin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """A method of a route that takes JSON, and the fields of it."""

    method: str
    path: str
    fields: tuple[str, ...]

    def status(self, world: World, ids: Mapping[str, str], body: bytes) -> int:
        """Send a body, by the tenant whose ids these are, and return the answer's status."""
        world.clock.time += 0.02  # so that no key comes over its rate
        role = ROLES.get([*self.path.split("/"), ""][2], "client")
        headers = {"Content-Type": "application/json"}
        path = self.path.format(**ids)
        return world.call(self.method, path, role, RIVAL, content=body, headers=headers).status_code


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    limits = Limits(request_bytes_max=2 * MIB)
    with World.of(memory_stores(MemoryObjects()), tmp_path_factory.mktemp("g"), limits) as opened:
        yield opened


@pytest.fixture(scope="module")
def ids(world: World) -> Mapping[str, str]:
    return rivals_own(world)


@pytest.mark.parametrize("name", NO_JSON)
def test_what_is_no_json_is_refused_by_every_route(
    world: World, ids: Mapping[str, str], name: str
) -> None:
    found = list(takers(world))
    statuses = {each.path: each.status(world, ids, NO_JSON[name]) for each in found}
    assert len(found) >= 20
    assert {path: status for path, status in statuses.items() if status != 400} == {}


def test_no_body_over_the_limit_is_taken_by_any_route(world: World, ids: Mapping[str, str]) -> None:
    body = b'{"a": "' + b"x" * 2 * MIB + b'"}'
    statuses = {each.path: each.status(world, ids, body) for each in takers(world)}
    assert {path: status for path, status in statuses.items() if status != 413} == {}


@pytest.mark.parametrize("name", VALUES)
def test_no_odd_value_of_any_field_breaks_a_route(
    world: World, ids: Mapping[str, str], name: str
) -> None:
    asked = {
        (each.path, field): each.status(world, ids, b'{"%s": %s}' % (field.encode(), VALUES[name]))
        for each in takers(world)
        for field in each.fields
    }
    assert len(asked) >= 60
    assert {where: status for where, status in asked.items() if status >= 500} == {}


def takers(world: World) -> Iterator[Taker]:
    """Yield every route that takes JSON, those outside of the OpenAPI document too."""
    for each in iter_route_contexts(world.http.app.routes):  # type: ignore[attr-defined]
        route, path = each.original_route, each.path or ""
        body = route.body_field if isinstance(route, APIRoute) else None
        if body is not None or path.endswith("/infer"):
            model = None if body is None else body.field_info.annotation
            fields = tuple(getattr(model, "model_fields", TENSORS))
            for method in sorted(each.methods or ()):
                yield Taker(method=method, path=path, fields=fields)
