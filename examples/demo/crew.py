"""The crowd as the demo's own process sees it: who was hired, and the processes they work in."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter

KEY_VARIABLE = "DEMO_WORKER_KEY"
"""The environment variable through which a crowd process gets its API key."""

STOP_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hired:
    """A registered worker; `persona` says what kind of person this is."""

    worker_id: str
    name: str
    persona: str
    price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An answer that the service accepted at a Unix time; `right` is None where nobody knows."""

    job_id: str
    worker_id: str
    right: bool | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One process to run: its module, its roster, and the file it leaves its answers in."""

    module: str
    roster_file: Path
    answers_file: Path


_GIVEN = TypeAdapter(tuple[Given, ...])


class Crew:
    """Everybody who was hired; a context manager around their processes."""

    def __init__(self, hired: Sequence[Hired], posts: Sequence[Post], key: str) -> None:
        self.hired, self._posts, self._key = tuple(hired), tuple(posts), key
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        environment = {**os.environ, KEY_VARIABLE: self._key, "OMP_NUM_THREADS": "1"}
        for post in self._posts:
            command = [sys.executable, "-m", post.module, str(post.roster_file)]
            process = subprocess.Popen(command, env=environment)  # noqa: S603 - our own module
            self._processes.append(process)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Send everybody home and wait until they have written down what they did."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def given(self) -> tuple[Given, ...]:
        """Return every accepted answer, once stopped; a process that died left none."""
        files = [post.answers_file for post in self._posts if post.answers_file.exists()]
        return tuple(answer for file in files for answer in read_given(file))


def read_given(file: Path) -> tuple[Given, ...]:
    """Read the answers of one process."""
    return _GIVEN.validate_json(file.read_bytes())


def write_given(file: Path, given: Sequence[Given]) -> None:
    """Write the answers of one process."""
    file.write_bytes(_GIVEN.dump_json(tuple(given)))
