"""The service under demonstration: `muster up` as a process of its own, reached over HTTP only."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Self

import httpx
from pydantic import TypeAdapter

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
LOG_TAIL_LINES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The development keys that `muster up` makes."""

    client: str
    worker: str
    admin: str


class ServiceFailed(Exception):
    """The service did not come up; the message holds the end of its log."""


class Service:
    """A running service with fresh state in `folder`; a context manager around its process."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._port = _free_port()
        self._log = folder / "service.log"
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        command = Path(sys.executable).with_name("muster")
        environment = {
            **os.environ,
            "MUSTER_DATA_DIR": str(self._folder / "data"),
            "MUSTER_HTTP__PORT": str(self._port),
            "MUSTER_ASKING__CONSENSUS_EVERY_S": "2",
            "MUSTER_LEARNING__TRAININGS_MAX": "2",
            **self._settings,
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [str(command), "up"],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_ready(self) -> Keys:
        """Return the development keys once every part answers; raises ServiceFailed."""
        give_up_at = monotonic() + START_TIMEOUT_S
        pause = Event()
        with httpx.Client(base_url=self.url, timeout=5.0) as http:
            while not _is_ready(http):
                if self._process is None or self._process.poll() is not None:
                    raise ServiceFailed(f"`muster up` ended:\n{self._log_tail()}")
                if monotonic() > give_up_at:
                    raise ServiceFailed(f"no answer in {START_TIMEOUT_S} s:\n{self._log_tail()}")
                pause.wait(0.25)
        return _KEYS.validate_json((self._folder / "data" / "keys.json").read_bytes())

    def _log_tail(self) -> str:
        lines = self._log.read_text("utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


_KEYS = TypeAdapter(Keys)


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
