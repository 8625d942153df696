"""The HTTP API under random requests that its own description allows.

Schemathesis (Z. Hatfield-Dodds, D. Dygalo: Deriving Semantics-Aware Fuzzers from Web API Schemas,
ICSE 2022) makes the requests and compares every answer with the description: no fault of the
server, a status, a media type, headers and a body that are told there, and no way in without a key.
Half of the ids in paths are those of things that exist.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import numpy as np
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from cluster.domain.access import Role
from cluster.domain.jobs import JobState
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from tests.unit.gateway.world import World

Operation = APIOperation[Any, Any, Any, Any]
Request = Case[Any]
T = TypeVar("T")

LEFT_OUT = frozenset({"positive_data_acceptance", "negative_data_rejection"})
"""A schema cannot say all that is asked of a request, such as that names of labels differ."""

WITHOUT_A_MAKER = ("PATCH /v1/uploads/{upload_id}",)
"""Requests that Schemathesis cannot make: pieces of an upload. tests/unit/gateway makes them."""

ROLES: tuple[Role, ...] = ("client", "client", "worker", "admin")
BETWEEN_S = 60.0
"""Passes between requests, so that none is refused for its rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuzzed:
    """How many requests were answered by which status."""

    by_status: Mapping[int, int]

    @property
    def requests(self) -> int:
        """Return how many there were."""
        return sum(self.by_status.values())


class ApiFuzz:
    """One gateway with jobs in several states, and the operations that its description names."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._world = World.of(memory_stores(MemoryObjects()), folder)
        self._rng, self._seed = np.random.default_rng(seed), seed
        self._by_status: dict[int, int] = {}
        self._known: Mapping[str, Sequence[str]] = {}
        self._left_out: list[Any] = []

    def run(self, examples: int) -> Fuzzed:
        """Send so many requests to each operation; raises what Schemathesis finds wrong."""
        with self._world:
            self._known = self._made()
            for number, operation in enumerate(self._operations()):
                self._try(operation, examples, self._seed + number)
        return Fuzzed(by_status=dict(sorted(self._by_status.items())))

    def _operations(self) -> Iterator[Operation]:
        schema = schemathesis.openapi.from_asgi("/openapi.json", self._world.http.app)
        self._left_out = [check for check in CHECKS.get_all() if check.__name__ in LEFT_OUT]
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            if operation.label not in WITHOUT_A_MAKER:
                yield operation

    def _try(self, operation: Operation, examples: int, seed: int) -> None:
        @hypothesis.seed(seed)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def answers(case: Request) -> None:
            self._send(case)

        answers()

    def _send(self, case: Request) -> None:
        self._world.clock.time += BETWEEN_S
        case.path_parameters = {
            name: self._one_of(self._known[name])
            if name in self._known and self._rng.random() < 0.5
            else value
            for name, value in (case.path_parameters or {}).items()
        }
        key = self._world.key(self._one_of(ROLES))
        response = case.call(headers={"Authorization": f"Bearer {key}"})
        self._by_status[response.status_code] = self._by_status.get(response.status_code, 0) + 1
        case.validate_response(response, excluded_checks=self._left_out)

    def _one_of(self, choices: Sequence[T]) -> T:
        return choices[int(self._rng.integers(len(choices)))]

    def _made(self) -> Mapping[str, Sequence[str]]:
        """Return ids of what exists, by the names of path parameters."""
        world = self._world
        jobs = [
            world.asking(["a b", "c d", "e f"]),
            world.submitted(name="queued"),
            world.moved(world.submitted(name="cancelled"), JobState.CANCELLED),
            world.moved(world.submitted(name="failed"), JobState.FAILED),
        ]
        return {
            "job_id": [job.job_id for job in jobs],
            "worker_id": [world.worker()],
            "tenant_id": ["acme"],
            "name": [jobs[0].model_name],
        }
