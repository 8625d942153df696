"""The gateway on a real Ray Serve: jobs, workers, and a replica killed under its client."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import ray
from ray import serve

from allocation.actor import RemoteShard, start_allocator
from cluster.domain.ids import JobId, TenantId
from cluster.domain.work import Partition
from cluster.settings import AllocatorSettings, HttpSettings, Settings
from cluster.stores.opened import open_stores
from serve_apps.client import MusterClient
from serve_apps.gateway.deployment import gateway_app
from serve_apps.gateway.keys import ensure_development_keys
from serve_apps.gateway.schemas.job_request import ItemBody, JobRequest, LabelBody
from serve_apps.gateway.schemas.work import AnswerBody, WorkerRequest
from tests.unit.allocation.worlds import SHARD, snapshot
from tests.unit.gateway.world import store_chunk

pytestmark = [pytest.mark.ray, pytest.mark.timeout(180)]

REQUEST = JobRequest(
    name="animals",
    modality="text",
    labels=[LabelBody(name=name) for name in ("cat", "dog", "owl")],
    items=[ItemBody(id="i0", text="meow"), ItemBody(id="i1", text="woof")],
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return Settings(
        data_dir=tmp_path_factory.mktemp("muster"),
        http=HttpSettings(port=port, replicas=1),
        allocator=AllocatorSettings(shards=1),
    )


@pytest.fixture(scope="module")
def keys(settings: Settings) -> Iterator[dict[str, str]]:
    """The development keys of a served gateway, by role."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_MODE", "disabled")
        ray.init("local", include_dashboard=False, num_cpus=2, log_to_driver=False)
    made = ensure_development_keys(open_stores(settings).keys, TenantId("dev"), 1.0, os.urandom)
    allocator = start_allocator(SHARD, settings, detached=False)
    serve.start(http_options={"host": "127.0.0.1", "port": settings.http.port})
    serve.run(gateway_app(settings), name="gateway", route_prefix="/")
    yield {minted.record.role: minted.text for minted in made}
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()
    del allocator


def connected(settings: Settings, key: str) -> MusterClient:
    return MusterClient(f"http://127.0.0.1:{settings.http.port}", key)


def replica_pid() -> int:
    """Return the process id of the one gateway replica below this process."""
    processes = [path for path in Path("/proc").glob("[0-9]*") if "gateway" in _title(path)]
    (replica,) = [path for path in processes if _is_below(path, os.getpid())]
    return int(replica.name)


def _title(process: Path) -> str:
    try:
        title = (process / "cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return title if title.startswith("ray::ServeReplica") else ""


def _is_below(process: Path, ancestor: int) -> bool:
    pid = int(process.name)
    while pid > 1 and pid != ancestor:
        stat = Path(f"/proc/{pid}/stat").read_text()
        pid = int(stat.rpartition(")")[2].split()[1])
    return pid == ancestor


def test_a_job_is_submitted_and_worked_on_over_serve(
    settings: Settings, keys: dict[str, str]
) -> None:
    # Given a job that its runner has brought to asking
    stores = open_stores(settings)
    with (
        connected(settings, keys["client"]) as client,
        connected(settings, keys["worker"]) as crowd,
    ):
        job = client.submit(REQUEST)
        job_id = JobId(job.id)
        store_chunk(stores, job_id, ["meow", "woof"])
        stores.partitions.add(
            [Partition(job_id=job_id, number=0, first_position=0, items=2, shard_id=SHARD)]
        )
        shard = RemoteShard(SHARD)
        shard.open(job_id, 0)
        shard.publish(snapshot(2, job_id))
        # When a worker claims and answers over HTTP
        ann = crowd.register_worker(WorkerRequest(name="ann"))
        offers = crowd.claim(ann.id, 2)
        results = crowd.answer(
            ann.id, [AnswerBody(token=offer.token, label="cat") for offer in offers]
        )
    # Then the answers are in the log
    assert {offer.item.text for offer in offers} == {"meow", "woof"}
    assert [result.status for result in results] == ["accepted", "accepted"]
    assert len(stores.answers.read(job_id, 0, 10)) == 2


@pytest.mark.parametrize("pieces_from_bytes", [1, 2**40], ids=["in pieces", "in one go"])
def test_an_upload_is_streamed_through_the_proxy(
    settings: Settings, keys: dict[str, str], tmp_path: Path, pieces_from_bytes: int
) -> None:
    file = tmp_path / "items.jsonl"
    file.write_bytes(b'{"id": "1", "text": "hello"}\n' * 200_000)
    with connected(settings, keys["client"]) as client:
        uploaded = client.upload(file, pieces_from_bytes=pieces_from_bytes)
    assert uploaded.size_bytes == file.stat().st_size


def test_an_answer_has_one_id_of_its_request(settings: Settings, keys: dict[str, str]) -> None:
    url = f"http://127.0.0.1:{settings.http.port}/v1/jobs"
    headers = {"Authorization": f"Bearer {keys['client']}"}
    own = httpx.get(url, headers={**headers, "X-Request-Id": "req-7"})
    assert own.headers.get_list("X-Request-Id") == ["req-7"]
    made, refused = httpx.get(url, headers=headers), httpx.get(url)
    assert (made.status_code, refused.status_code) == (200, 401)
    assert [len(each.headers.get_list("X-Request-Id")) for each in (made, refused)] == [1, 1]


def test_a_killed_replica_costs_nothing_but_time(settings: Settings, keys: dict[str, str]) -> None:
    # Given a gateway
    with connected(settings, keys["client"]) as client:
        before = client.submit(REQUEST, idempotency_key="once")
        # When its replica is killed, and the client sends the same submit again
        os.kill(replica_pid(), signal.SIGKILL)
        after = client.submit(REQUEST, idempotency_key="once")
        # Then the new replica answers, and it is the same job
        assert after.id == before.id
        assert sum(job.id == before.id for job in client.jobs()) == 1
