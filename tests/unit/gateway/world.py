"""A whole gateway for tests: keys of two tenants, a clock, a shard, jobs in any state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from httpx2 import Response
from starlette.testclient import TestClient

from allocation.service import ShardService
from cluster import paths
from cluster.domain.access import Caller, Role
from cluster.domain.ids import JobId, KeyId, TenantId
from cluster.domain.items import Chunk
from cluster.domain.jobs import Job, JobState
from cluster.domain.work import Partition
from cluster.egress import EgressGuard
from cluster.item_reader import ItemReader
from cluster.jobs import advance
from cluster.model_settings import PrelabelSettings
from cluster.ports import Stores
from cluster.settings import EgressSettings, Limits, Settings
from cluster.telemetry.memory import MemoryTelemetry
from cluster.tracing import Tracing
from serve_apps.gateway.acting import Actor
from serve_apps.gateway.api import build_api
from serve_apps.gateway.keys import mint
from serve_apps.gateway.schemas.base import Problem
from serve_apps.gateway.services import Services, sortable_id
from serve_apps.gateway.trials import OnlineTrials
from serve_apps.prelabel.cache import ModelCache
from serve_apps.prelabel.loading import ModelLoader
from serve_apps.prelabel.local import LocalOnline
from serve_apps.prelabel.predictor import ChunkPredictor
from tests.unit.allocation.worlds import SHARD, ManualClock, shard, snapshot

TENANT = "acme"
PRELABEL = PrelabelSettings()
LABELS = ("cat", "dog", "owl")
LIMITS = Limits(
    request_bytes_max=20_000,
    upload_bytes_max=50_000,
    source_bytes_max=40_000,
    inline_items_max=50,
    page_rows_max=100,
    claim_max=8,
)
LIFE = (
    JobState.INGESTING,
    JobState.PRELABELLING,
    JobState.ASKING,
    JobState.EXPORTING,
    JobState.COMPLETED,
)

HOSTS = {"hooks.example": ("93.184.215.14",), "inside.example": ("10.0.0.7",)}
"""The names that a gateway in a test can look up."""

Json = Mapping[str, Any]


def job_body(**changes: object) -> dict[str, object]:
    """Return the body of a submit with three inline items, changed as asked; None leaves out."""
    body: dict[str, object] = {
        "name": "animals",
        "modality": "text",
        "labels": ["cat", {"name": "dog", "description": "barks"}, "owl"],
        "items": [{"id": f"i{number}", "text": f"text {number}"} for number in range(3)],
    }
    body.update(changes)
    return {name: value for name, value in body.items() if value is not None}


def problem(response: Response, status: int, slug: str) -> Problem:
    """Return the problem document of a response that must be this one."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    found = Problem.model_validate_json(response.content)
    assert (response.status_code, found.status, found.type) == (
        status,
        status,
        f"urn:muster:problem:{slug}",
    ), response.text
    return found


@dataclass(kw_only=True)
class World:
    """A gateway, what stands behind it, and a client with a key for every role and tenant."""

    stores: Stores
    services: Services
    shard: ShardService
    clock: ManualClock
    http: TestClient
    keys: dict[tuple[str, Role], str] = field(default_factory=dict)

    @property
    def inbox(self) -> Path:
        """The one folder that jobs may read from."""
        return self.services.settings.data_dir / "inbox"

    @classmethod
    def of(
        cls,
        stores: Stores,
        folder: Path,
        limits: Limits = LIMITS,
        encryption_keys: tuple[str, ...] = (),
    ) -> Self:
        clock, numbers = ManualClock(), count()
        service = shard(stores, clock)
        random_bytes = partial(_numbered_bytes, numbers)
        loader = ModelLoader(threads=1, image_pixels_max=limits.image_pixels_max, pause=_no_pause)
        models = ModelCache(loader, stores.objects, PRELABEL.models_per_replica_max)
        online = LocalOnline(ChunkPredictor(stores.objects, PRELABEL, models, clock))
        settings = Settings(
            data_dir=folder,
            limits=limits,
            allowed_roots=(f"file://{folder / 'inbox'}",),
            encryption_keys=encryption_keys,
        )
        services = Services(
            stores=stores,
            crowd=service,
            online=online,
            trials=OnlineTrials(online, stores.traffic, settings.rollout, clock),
            items=ItemReader(stores.objects, stores.chunks),
            egress=EgressGuard(EgressSettings(), lambda host, _: HOSTS.get(host, ())),
            settings=settings,
            clock=clock,
            new_id=lambda: sortable_id(clock.now(), random_bytes(10)),
            random_bytes=random_bytes,
            readiness=dict,
            telemetry=MemoryTelemetry(),
            tracing=Tracing(None),
        )
        (folder / "inbox").mkdir(exist_ok=True)
        http = TestClient(build_api(services), raise_server_exceptions=False)
        return cls(stores=stores, services=services, shard=service, clock=clock, http=http)

    def __enter__(self) -> Self:
        self.http.__enter__()
        return self

    def __exit__(self, *exit_of: object) -> None:
        self.http.__exit__(*exit_of)

    def key(self, role: Role, tenant: str = TENANT) -> str:
        """Return the text of a tenant's key with a role, made when first asked for."""
        if (tenant, role) not in self.keys:
            minted = mint(
                KeyId(f"{tenant}-{role}"),
                TenantId(tenant),
                role,
                self.clock.now(),
                self.services.random_bytes(32),
            )
            self.stores.keys.add(minted.record)
            self.keys[tenant, role] = minted.text
        return self.keys[tenant, role]

    def get(self, path: str, role: Role = "client", tenant: str = TENANT, **more: Any) -> Response:
        return self.call("GET", path, role, tenant, **more)

    def post(
        self, path: str, body: object, role: Role = "client", tenant: str = TENANT, **more: Any
    ) -> Response:
        return self.call("POST", path, role, tenant, json=body, **more)

    def call(
        self, method: str, path: str, role: Role, tenant: str = TENANT, **more: Any
    ) -> Response:
        headers = {"Authorization": f"Bearer {self.key(role, tenant)}", **more.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **more)

    def submitted(self, **changes: object) -> Job:
        """Submit a job over HTTP and return it as stored."""
        response = self.post("/v1/jobs", job_body(**changes))
        assert response.status_code == 201, response.text
        return self.stores.jobs.load(JobId(response.json()["id"]))

    def moved(self, job: Job, state: JobState) -> Job:
        """Bring a job to a state by the steps of its life."""
        if state in (JobState.CANCELLED, JobState.FAILED):
            return self.stores.jobs.save(advance(job, state, self.clock.now()))
        behind = LIFE.index(job.state) + 1 if job.state in LIFE else 0
        for step in LIFE[behind : LIFE.index(state) + 1]:
            job = self.stores.jobs.save(advance(job, step, self.clock.now()))
        return job

    def asking(self, contents: Sequence[str | bytes], **changes: object) -> Job:
        """Submit a job and bring it to where the crowd is asked about each of the contents."""
        job = self.submitted(**changes)
        store_chunk(self.stores, job.job_id, contents)
        partition = Partition(
            job_id=job.job_id, number=0, first_position=0, items=len(contents), shard_id=SHARD
        )
        self.stores.partitions.add([partition])
        self.shard.open(job.job_id, 0)
        self.shard.publish(snapshot(len(contents), job.job_id))
        return self.moved(job, JobState.ASKING)

    def worker(self, name: str = "ann", tenant: str = TENANT, **more: object) -> str:
        """Register a worker over HTTP and return its id."""
        response = self.post("/v1/workers", {"name": name, **more}, "worker", tenant)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])


def store_chunk(stores: Stores, job_id: JobId, contents: Sequence[str | bytes]) -> None:
    """Store contents as the one chunk of a job, with the ids i0, i1 and so on."""
    write_table(
        stores,
        paths.items(job_id, 0),
        {
            "position": pa.array(range(len(contents)), pa.int64()),
            "item_id": pa.array([f"i{number}" for number in range(len(contents))]),
            "content": pa.array(contents),
            "content_hash": pa.array([bytes(16)] * len(contents), pa.binary(16)),
        },
    )
    stores.chunks.add(
        [
            Chunk(
                job_id=job_id,
                number=0,
                first_position=0,
                rows=len(contents),
                items_path=paths.items(job_id, 0),
            )
        ]
    )


def write_table(
    stores: Stores, path: str, columns: Mapping[str, Any], row_group_size: int = 1_000
) -> None:
    """Store columns as a Parquet object."""
    with stores.objects.open_output(path) as output:
        pq.write_table(pa.table(dict(columns)), output, row_group_size=row_group_size)


def acting(tenant: str = TENANT, at: float = 0.0) -> Actor:
    """Return who asks for something with a client key of a tenant."""
    caller = Caller(key_id=KeyId(f"{tenant}-client"), tenant_id=TenantId(tenant), role="client")
    return Actor(caller=caller, request_id="req-1", at=at)


def with_readiness(services: Services, **state: str | None) -> Services:
    """Return services whose parts stand so."""
    return replace(services, readiness=lambda: state)


def _numbered_bytes(numbers: "count[int]", size: int) -> bytes:
    return next(numbers).to_bytes(size, "big")


def _no_pause(seconds: float) -> None:
    del seconds


def with_stores(stores: Stores, **changed: Any) -> Stores:
    """Return stores of which some are others."""
    return replace(stores, **changed)
