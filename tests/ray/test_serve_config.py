"""The Serve config of the RayService on a cluster of several nodes, where no driver stays."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic

import httpx
import pytest
import ray
import yaml
from ray._private.state import actors
from ray.cluster_utils import Cluster

from allocation.actor import NAMESPACE, allocator_name
from cluster.domain.ids import TenantId
from cluster.settings import environment_settings
from cluster.stores.leadership import open_leadership
from cluster.stores.opened import open_stores
from serve_apps.client import MusterClient
from serve_apps.gateway.keys import ensure_development_keys
from serve_apps.gateway.schemas.job_request import ItemBody, JobRequest, LabelBody
from serve_apps.gateway.schemas.work import WorkerRequest
from serve_apps.jobs.actor import SUPERVISOR

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

MANIFESTS = Path(__file__).resolve().parents[2] / "infra" / "k8s" / "base"
WITHIN_S = 240.0
REQUEST = JobRequest(
    name="animals",
    modality="text",
    labels=[LabelBody(name=name) for name in ("cat", "dog")],
    items=[ItemBody(id="i0", text="meow"), ItemBody(id="i1", text="woof")],
)


@pytest.fixture(autouse=True)
def environment(tmp_path: Path) -> Iterator[None]:
    """What the pods of infra/k8s have in theirs, but for where things lie."""
    with pytest.MonkeyPatch.context() as environment:
        deployed = yaml.safe_load((MANIFESTS / "settings.yaml").read_text())["data"]
        here = {
            "MUSTER_DATA_DIR": str(tmp_path),
            "MUSTER_HTTP__REPLICAS": "1",
            "MUSTER_ALLOCATOR__SHARDS": "1",
        }
        for name, value in {**deployed, **here, "RAY_AUTH_MODE": "disabled"}.items():
            environment.setenv(name, value)
        yield


@pytest.fixture
def cpu_node() -> Iterator[str]:
    """A cluster as KubeRay makes it: a head without CPUs, a node with them, one with a GPU."""
    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    node = cluster.add_node(num_cpus=4)
    cluster.add_node(num_cpus=0, num_gpus=1)
    ray.init(cluster.address, namespace=NAMESPACE, log_to_driver=False)
    yield node.node_id
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]


def test_a_cluster_serves_while_another_leads_and_leads_when_that_is_gone(
    cpu_node: str, tmp_path: Path
) -> None:
    settings = environment_settings()
    # Given a database on which another cluster leads
    other = open_leadership(settings)
    assert other.held()
    keys = {
        minted.record.role: minted.text
        for minted in ensure_development_keys(
            open_stores(settings).keys, TenantId("dev"), 1.0, os.urandom
        )
    }
    # When the Serve config of the RayService is deployed
    address = deployed(tmp_path)
    # Then it serves, and takes jobs, but runs none
    eventually(lambda: httpx.get(f"{address}/healthz").is_success)
    with MusterClient(address, keys["client"]) as client:
        client.submit(REQUEST)
    assert httpx.get(f"{address}/readyz").status_code == 503
    core = {SUPERVISOR, allocator_name(0)}
    assert not core & set(nodes_of_actors())
    # When the other cluster is gone
    other.close()
    # Then it leads: it has a shard and a supervisor, where there are CPUs
    eventually(lambda: httpx.get(f"{address}/readyz").is_success)
    assert not other.held()
    eventually(lambda: core <= set(nodes_of_actors()))
    assert {nodes_of_actors()[name] for name in core} == {cpu_node}
    # And the job is pre-labelled on the GPU's node, and asks the crowd
    with MusterClient(address, keys["worker"]) as crowd:
        ann = crowd.register_worker(WorkerRequest(name="ann"))
        eventually(lambda: len(crowd.claim(ann.id, 1)) == 1)


def deployed(folder: Path) -> str:
    """Deploy the config at a port of this machine's choice, as `serve` does, and return where."""
    service = yaml.safe_load((MANIFESTS / "rayservice.yaml").read_text())
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config["http_options"] |= {"host": "127.0.0.1", "port": port}
    file = folder / "serve.yaml"
    file.write_text(yaml.safe_dump(config))
    serve = Path(sys.executable).with_name("serve")
    command = [serve, "run", "--non-blocking", "--address", ray.get_runtime_context().gcs_address]
    subprocess.run([*command, file], check=True, timeout=WITHIN_S)
    return f"http://127.0.0.1:{port}"


def nodes_of_actors() -> dict[str, str]:
    """Return which node each live actor with a name is on."""
    found = actors().values()
    return {
        actor["Name"]: actor["Address"]["NodeID"] for actor in found if actor["State"] == "ALIVE"
    }


def eventually(condition: Callable[[], bool]) -> None:
    """Look again and again until it is so, or the time is over."""
    give_up_at, pause = monotonic() + WITHIN_S, Event()
    while True:
        with suppress(httpx.HTTPError):
            if condition():
                return
        assert monotonic() < give_up_at
        pause.wait(0.2)
