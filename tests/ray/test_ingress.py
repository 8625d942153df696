"""Clients straight at the gateways behind HAProxy: a slow one costs no memory."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import monotonic

import httpx
import pytest

from benchmarks.chaos.service import MusterUp
from benchmarks.http.finished import finish
from cluster.domain.ids import JobId, TenantId
from cluster.settings import Settings
from cluster.stores.opened import open_stores
from serve_apps.cli.exclusive import usable_port

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

ROWS = 300_000
TENANT = TenantId("dev")
GROWTH_MIB_MAX = 24.0
STALLED_S = 3.0
DIRECT_TIMEOUT_S = 60.0
LOOK_EVERY_S = 0.1


@pytest.fixture(scope="module")
def behind_haproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MusterUp]:
    folder = tmp_path_factory.mktemp("haproxy")
    settings = {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(usable_port("127.0.0.1", 0)),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(usable_port("127.0.0.1", 0)),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        "MUSTER_PRELABEL__REPLICAS_MIN": "0",
    }
    with MusterUp(folder, settings) as running:
        running.wait_ready()
        wait_direct(int(settings["RAY_SERVE_HAPROXY_STATS_PORT"]))
        yield running


def wait_direct(stats_port: int) -> None:
    """Return once HAProxy talks to the gateway; until then Serve's own proxy stands between."""
    pause, give_up_at = Event(), monotonic() + DIRECT_TIMEOUT_S
    while "SERVE_REPLICA_gateway" not in (
        state := httpx.get(f"http://127.0.0.1:{stats_port}/stats;csv").text
    ):
        assert monotonic() < give_up_at, state
        pause.wait(LOOK_EVERY_S)


@pytest.fixture(scope="module")
def job_id(behind_haproxy: MusterUp, tmp_path_factory: pytest.TempPathFactory) -> JobId:
    """A finished job whose results are some 60 MB of JSON Lines."""
    folder = tmp_path_factory.mktemp("job")
    settings = Settings(data_dir=behind_haproxy.data_dir, allowed_roots=(folder.as_uri(),))
    return finish(open_stores(settings), settings, TENANT, ROWS, folder).job_id


def gateway_mib(service: MusterUp) -> float:
    (gateway,) = service.titled("ray::ServeReplica:gateway")
    status = Path(f"/proc/{gateway.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1_024


@contextmanager
def connected(service: MusterUp) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", service.port), timeout=30.0) as connection:
        yield connection


def test_an_answer_has_one_id_of_its_request(behind_haproxy: MusterUp) -> None:
    url = f"{behind_haproxy.url}/v1/health"
    own = httpx.get(url, headers={"X-Request-Id": "req-7"})
    assert own.headers.get_list("X-Request-Id") == ["req-7"]
    assert len(httpx.get(url).headers.get_list("X-Request-Id")) == 1


def test_a_reader_that_stalls_is_waited_for_and_gets_it_all(
    behind_haproxy: MusterUp, job_id: JobId
) -> None:
    # Given a client that has read the beginning of a large export
    url = f"{behind_haproxy.url}/v1/jobs/{job_id}/export?format=jsonl"
    headers = {"Authorization": f"Bearer {behind_haproxy.keys.client}"}
    with httpx.stream("GET", url, headers=headers, timeout=60.0) as response:
        blocks = response.iter_raw(65_536)
        arrived = len(next(blocks))
        before = gateway_mib(behind_haproxy)
        # When it reads nothing for a while
        stalled_until = monotonic() + STALLED_S
        most = before
        while monotonic() < stalled_until:
            most = max(most, gateway_mib(behind_haproxy))
        # Then the gateway has not gone on without it, and sends the rest when it reads on
        assert most - before < GROWTH_MIB_MAX
        arrived += sum(map(len, blocks))
    assert arrived == int(response.headers["content-length"])
    assert arrived > 2 * GROWTH_MIB_MAX * 2**20


def test_an_upload_faster_than_the_store_is_held_back(behind_haproxy: MusterUp) -> None:
    # Given a client that uploads as fast as the connection takes it, and bids Serve not to look for
    # its hanging up, for which Serve would read the body ahead into a queue without a bound
    size, block = 200 * 2**20, b" " * 2**20
    before = most = gateway_mib(behind_haproxy)
    with connected(behind_haproxy) as connection:
        head = (
            "POST /v1/uploads HTTP/1.1\r\n"
            f"Host: localhost\r\nAuthorization: Bearer {behind_haproxy.keys.client}\r\n"
            "X-Request-Disconnect-Disabled: ?1\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
        )
        connection.sendall(head.encode())
        for _ in range(size // len(block)):
            connection.sendall(block)
            most = max(most, gateway_mib(behind_haproxy))
        answer = connection.recv(4_096)
    # Then it is stored, and never was there more of it in memory than some parts
    assert answer.startswith(b"HTTP/1.1 201")
    assert most - before < 2 * GROWTH_MIB_MAX
