"""`muster up` as a process of its own: it starts once, tells where it is, and leaves nothing."""

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic

import httpx
import pytest

from serve_apps.client import MusterClient

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

START_S = 180.0
STOP_S = 60.0
LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Member:
    """A process below `muster up`, told apart from a later one of the same number."""

    pid: int
    parent: int
    started: str
    title: str


def members(session: int) -> frozenset[Member]:
    """Return the processes of a session that live, by what Linux says of them."""
    found = (_member(path, session) for path in Path("/proc").glob("[0-9]*"))
    return frozenset(member for member in found if member is not None)


def _member(process: Path, session: int) -> Member | None:
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        title = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent, own_session, started = fields[0], int(fields[1]), int(fields[3]), fields[19]
    if own_session != session or state in "ZX":
        return None
    return Member(pid=int(process.name), parent=parent, started=started, title=title)


def eventually(condition: Callable[[], bool], within_s: float) -> bool:
    """Look again and again until it is so, or the time is over."""
    give_up_at, pause = monotonic() + within_s, Event()
    while not condition():
        if monotonic() > give_up_at:
            return False
        pause.wait(LOOK_EVERY_S)
    return True


class Up:
    """A `muster up` in a session of its own."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self.data_dir = data_dir
        self._output = data_dir.with_name(f"{secrets.token_hex(4)}.log")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")
        }
        environment |= {"MUSTER_ALLOCATOR__SHARDS": "1", "MUSTER_PRELABEL__REPLICAS_MAX": "1"}
        command = [sys.executable, "-m", "serve_apps.cli.main", "up", "--data-dir", str(data_dir)]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, *options],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it has printed."""
        return self._output.read_text()

    @property
    def members(self) -> frozenset[Member]:
        """It and what it has started."""
        return members(self.process.pid)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so, as long as it runs."""
        assert eventually(lambda: condition() or self.process.poll() is not None, START_S)
        assert self.process.poll() is None, self.text

    def has_started(self, title: str) -> bool:
        return any(title in member.title for member in self.members)

    def ended(self) -> int:
        """Return the exit code of what has been asked to end, once nothing is left of it."""
        code = self.process.wait(STOP_S)
        assert not self.members
        return code


@contextmanager
def running(data_dir: Path, *options: str) -> Iterator[Up]:
    up = Up(data_dir, *options)
    try:
        yield up
    finally:
        for member in up.members:
            os.kill(member.pid, signal.SIGKILL)
        up.process.wait()


def refusal(data_dir: Path, *options: str) -> str:
    """Return the one line by which a start is refused."""
    with running(data_dir, *options) as up:
        assert up.process.wait(STOP_S) == 2, up.text
        (line,) = up.text.splitlines()
        return line


def test_it_serves_until_stopped_alone_on_its_data_and_its_port(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--port", "0") as up:
        # When it has started at a port of its own choice
        up.wait_for(lambda: "admin" in up.text)
        address = re.search(r"http://127\.0\.0\.1:(\d+)$", up.text, re.MULTILINE)
        assert address is not None, up.text
        # Then the keys it has printed work, and lie where it says
        client_key = re.search(r"^  client (msk_\S+)$", up.text, re.MULTILINE)
        assert client_key is not None, up.text
        assert str(up.data_dir / "keys.json") in up.text
        assert client_key[1] in (up.data_dir / "keys.json").read_text()
        with MusterClient(address[0], client_key[1]) as client:
            assert list(client.jobs()) == []
        # And Serve's own two paths tell nothing else
        assert httpx.get(f"{address[0]}/-/routes").json() == {"/": "gateway"}
        assert httpx.get(f"{address[0]}/-/healthz").text == "success"
        # And neither its data nor its port are another's to take
        assert "another `muster up` is running on" in refusal(up.data_dir, "--port", "0")
        taken = refusal(tmp_path / "other", "--port", address[1])
        assert taken.endswith(f"cannot listen on 127.0.0.1:{address[1]}: Address already in use")
        # When it is told to stop
        os.kill(up.process.pid, signal.SIGTERM)
        # Then it does, and so does all it had started
        assert up.ended() == 0, up.text
        assert "Traceback" not in up.text


@pytest.mark.parametrize(
    ("title", "number"),
    [
        ("raylet", signal.SIGTERM),
        ("ServeController", signal.SIGINT),
        ("ServeReplica:prelabel", signal.SIGTERM),
    ],
)
def test_it_may_be_stopped_while_it_starts(
    tmp_path: Path, title: str, number: signal.Signals
) -> None:
    with running(tmp_path / "data", "--port", "0") as up:
        # Given one that has come as far as starting this process
        up.wait_for(lambda: up.has_started(title))
        # When it is told to stop, by Ctrl-C as a terminal does it: everybody in the group is
        if number is signal.SIGINT:
            os.killpg(up.process.pid, number)
        else:
            os.kill(up.process.pid, number)
        # Then nothing is left of it, and it never said that it serves
        assert up.ended() == 0, up.text
        assert "serves" not in up.text
        assert "Traceback" not in up.text


def test_a_second_start_keeps_the_keys_to_itself_and_finds_the_lock_free(tmp_path: Path) -> None:
    # Given a service that was killed on the spot
    with running(tmp_path / "data", "--port", "0") as up:
        up.wait_for((up.data_dir / "keys.json").exists)
        os.kill(up.process.pid, signal.SIGKILL)
        up.process.wait()
    # When it is started again on the same data
    with running(tmp_path / "data", "--port", "0") as again:
        again.wait_for(lambda: "development keys" in again.text)
        # Then it says where the keys are, but not the keys
        assert "msk_" not in again.text
        os.kill(again.process.pid, signal.SIGINT)
        assert again.ended() == 0, again.text


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("MUSTER_HTPP__PORT", "1", "error: environment: no setting is called MUSTER_HTPP__PORT"),
        ("MUSTER_HTTP__PORT", "x", "error: http.port: Input should be a valid integer"),
        (
            "MUSTER_HTTP__HOST",
            "203.0.113.1",
            "error: port: cannot listen on 203.0.113.1:8400: Cannot assign requested address",
        ),
        ("MUSTER_ALLOWED_ROOTS", "x", "error: environment: error parsing value for field"),
    ],
)
def test_wrong_settings_are_told_in_a_line(
    tmp_path: Path, variable: str, value: str, told: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "serve_apps.cli.main", "up", "--data-dir", str(tmp_path)],
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(told)
