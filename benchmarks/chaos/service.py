"""`muster up` as a process of its own, in a session of its own, that can be killed whole."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Self

import httpx
from pydantic import BaseModel

from benchmarks.chaos import processes
from benchmarks.chaos.processes import Process

READY_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 60.0
RESTARTS_MAX = 3
LOOK_EVERY_S = 0.25
LOG_TAIL_LINES = 30


class Keys(BaseModel):
    """The development keys that `muster up` makes at its first start."""

    client: str
    worker: str
    admin: str


class ServiceFailed(Exception):
    """The service did not come up; the message holds the end of its log."""


class MusterUp:
    """A service over the data in `folder`, started, killed and started again at will.

    A context manager: on leaving, whatever runs is ended.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str], port: int | None = None) -> None:
        self.data_dir = folder / "data"
        self.port = port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.metrics_port = _free_port()
        self._settings = {"MUSTER_RAY__METRICS_PORT": str(self.metrics_port), **settings}
        self._log = folder / "muster.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the service; `wait_ready` tells when it answers."""
        muster = Path(sys.executable).with_name("muster")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [muster, "up", "--data-dir", self.data_dir, "--port", str(self.port)],
                env={**os.environ, **self._settings},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def keys(self) -> Keys:
        """The keys, which are there once the service is ready."""
        return Keys.model_validate_json((self.data_dir / "keys.json").read_bytes())

    def wait_ready(self) -> None:
        """Return once every part answers; raises ServiceFailed.

        A service that ends before is started again, as any process supervisor would: on a busy
        machine Ray itself gives up starting after half a minute.
        """
        give_up_at, starts_left = monotonic() + READY_TIMEOUT_S, RESTARTS_MAX
        pause = Event()
        with httpx.Client(base_url=self.url, timeout=5.0) as http:
            while not _is_ready(http):
                if self._process is None or self._process.poll() is not None:
                    if not starts_left:
                        raise ServiceFailed(f"`muster up` ended:\n{self.log_tail()}")
                    starts_left -= 1
                    self.kill()
                    self.start()
                if monotonic() > give_up_at:
                    raise ServiceFailed(f"not ready in {READY_TIMEOUT_S} s:\n{self.log_tail()}")
                pause.wait(LOOK_EVERY_S)

    def titled(self, title: str) -> tuple[Process, ...]:
        """Return the service's processes whose title begins so."""
        return () if self._process is None else processes.titled(self._process.pid, title)

    def runs(self, process: Process) -> bool:
        """Whether a process of the service is still there."""
        return self._process is not None and processes.is_alive(process.pid, self._process.pid)

    def kill(self) -> None:
        """End every process of the service with SIGKILL, as a power failure would."""
        if self._process is None:
            return
        while running := processes.of_session(self._process.pid):
            for process in running:
                processes.kill(process.pid)
            self._process.wait()
        self._process = None

    def stop(self) -> None:
        """Ask the service to end and see to it that all of it does."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
        self.kill()

    def log_tail(self) -> str:
        """Return the last lines the service has printed."""
        lines = self._log.read_text("utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


def _is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
