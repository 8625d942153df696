"""An S3 service in a process of its own."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Self

import httpx

from benchmarks.chaos.nodes import free_port

START_TIMEOUT_S = 60.0
LOOK_EVERY_S = 0.1
BUCKET = "muster"

CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class ServerFailed(Exception):
    """The server did not start."""


class Buckets:
    """moto's S3 with one empty bucket; a context manager. What it holds goes with its process."""

    def __init__(self, folder: Path) -> None:
        self._log, self.port = folder / "buckets.log", free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def uri_at(port: int) -> str:
        """Return the URI of the bucket where it is reached at a port of this machine."""
        options = f"scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
        return f"s3://{BUCKET}/objects?{options}"

    def __enter__(self) -> Self:
        moto = Path(sys.executable).with_name("moto_server")
        command: list[str | Path] = [moto, "-H", "127.0.0.1", "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        give_up_at, pause = monotonic() + START_TIMEOUT_S, Event()
        while not self._has_bucket():
            if monotonic() > give_up_at:
                raise ServerFailed(self._log.read_text()[-2_000:])
            pause.wait(LOOK_EVERY_S)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _has_bucket(self) -> bool:
        try:
            made = httpx.put(f"http://127.0.0.1:{self.port}/{BUCKET}", timeout=5.0)
        except httpx.TransportError:
            return False
        return made.is_success
