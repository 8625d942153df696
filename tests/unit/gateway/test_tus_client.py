"""Real clients over real sockets: tuspy, and Muster's own, through cuts and a killed server."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusUploadFailed
from tusclient.uploader.uploader import Uploader

from cluster.domain.ids import TenantId
from cluster.settings import Settings
from cluster.stores.opened import open_stores
from cluster.upload_reader import open_upload
from serve_apps.client import MusterClient, Retries
from tests.unit.gateway.cutting import cutting
from tests.unit.gateway.serving import serving
from tests.unit.gateway.upload_server import LIMITS
from tests.unit.gateway.world import TENANT, World

CONTENT = np.random.default_rng(7).bytes(600_000)
WAIT_S = 30.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "items.jsonl"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World.of(open_stores(Settings(data_dir=tmp_path)), tmp_path, LIMITS) as opened:
        yield opened


def stored(world: World, upload_id: str) -> bytes:
    with open_upload(world.stores.objects, TenantId(TENANT), upload_id) as stream:
        return stream.read()


def tus(world: World, url: str) -> TusClient:
    headers = {"Authorization": f"Bearer {world.key('client')}"}
    return TusClient(f"{url}/v1/uploads", headers=headers)


@pytest.mark.parametrize("checksum", [False, True])
def test_tuspy_uploads_a_file(world: World, file: Path, *, checksum: bool) -> None:
    with serving(world.http.app) as url:
        uploader = tus(world, url).uploader(
            str(file),
            chunk_size=130_000,
            metadata={"filename": file.name},
            upload_checksum=checksum,
        )
        uploader.upload()
    assert stored(world, str(uploader.url).rpartition("/")[2]) == CONTENT


def test_tuspy_goes_on_after_its_connection_was_cut(world: World, file: Path) -> None:
    # Given a network that cuts the connection after some 200 kB, in the middle of a piece
    with serving(world.http.app) as url, cutting(url, up_bytes=200_000) as through:
        uploader = tus(world, through).uploader(str(file))
        uploader.set_url(uploader.create_url())
        with pytest.raises(TusUploadFailed):
            uploader.upload()
        # When the client asks, then what came through is there, but for what lay in buffers
        direct = str(uploader.url).replace(through, url)
        resumed = tus(world, url).uploader(str(file), url=direct, retries=20, retry_delay=0)
        kept = wait_for_offset(resumed, at_least=100_000)
        assert kept < 200_000
        # And the rest completes it
        resumed.offset = kept
        resumed.upload()
    assert stored(world, direct.rpartition("/")[2]) == CONTENT


def test_an_upload_outlives_its_server(world: World, file: Path, tmp_path: Path) -> None:
    # Given a server in a process of its own that has stored some pieces
    with server(tmp_path) as (url, process):
        uploader = tus(world, url).uploader(str(file), chunk_size=50_000)
        for _ in range(4):
            uploader.upload_chunk()
        # When it is killed, and the client still tries
        process.send_signal(signal.SIGKILL)
        process.wait()
        with pytest.raises(TusUploadFailed):
            uploader.upload_chunk()
    # Then a new one knows every piece that was acknowledged, and the upload goes on there
    with server(tmp_path, port_of(url)):
        resumed = tus(world, url).uploader(str(file), url=uploader.url, chunk_size=50_000)
        assert resumed.offset == 200_000
        resumed.upload()
    assert stored(world, str(uploader.url).rpartition("/")[2]) == CONTENT


def test_our_client_goes_on_after_cuts(world: World, file: Path) -> None:
    with (
        serving(world.http.app) as url,
        cutting(url, up_bytes=150_000) as through,
        MusterClient(through, world.key("client"), retries=Retries(first_wait_s=0.01)) as client,
    ):
        uploaded = client.upload(file, pieces_from_bytes=1)
    assert uploaded.size_bytes == len(CONTENT)
    assert stored(world, uploaded.id) == CONTENT
    assert len(world.stores.uploads.parts(uploaded.id)) > 1


def test_our_client_goes_on_after_its_server_was_killed(
    world: World, file: Path, tmp_path: Path
) -> None:
    # Given a client that waits before it tries again
    killed = threading.Event()
    waits: list[float] = []
    with server(tmp_path) as (url, process):
        restarted = threading.Event()

        def wait(seconds: float) -> None:
            waits.append(seconds)
            assert restarted.wait(WAIT_S)

        with (
            cutting(url, up_bytes=300_000, at_cut=killed.set) as through,
            MusterClient(through, world.key("client"), wait=wait) as client,
        ):
            uploads: list[str] = []
            sending = threading.Thread(
                target=lambda: uploads.append(client.upload(file, pieces_from_bytes=1).id)
            )
            sending.start()
            # When the server is killed in the middle and another one takes its place
            assert killed.wait(WAIT_S)
            process.send_signal(signal.SIGKILL)
            process.wait()
            with server(tmp_path, port_of(url)):
                restarted.set()
                sending.join()
    # Then the file is whole
    assert stored(world, uploads[0]) == CONTENT


def wait_for_offset(uploader: Uploader, at_least: int) -> int:
    """Return where an upload is once its server has noticed that the client is gone."""
    for _ in range(1_000):
        offset: int = uploader.get_offset()
        if offset >= at_least:
            return offset
    raise AssertionError(f"{offset} bytes were kept")


@contextmanager
def server(folder: Path, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve a folder's stores from another process, on a port that stays the same."""
    port = port or free_port()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "tests.unit.gateway.upload_server", str(folder), str(port)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"listening\n"
            yield url, process
        finally:
            process.kill()


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
