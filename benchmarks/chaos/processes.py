"""The processes of one session, as /proc shows them (Linux only)."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PARENT, _SESSION = 1, 3
"""Where the fields stand in /proc/PID/stat after the name (proc_pid_stat(5))."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process and its title, which Ray sets to what it runs, such as `ray::JobActor.run`."""

    pid: int
    title: str


def of_session(session: int) -> tuple[Process, ...]:
    """Return the live processes of a session, oldest first.

    A process stays in the session it was born in, also when its parent dies: nothing that a
    service has started can escape, and nothing else can be in it.
    """
    found = (Process(pid, _title(pid)) for pid in _pids() if _is_of(pid, session))
    return tuple(sorted(found, key=lambda process: process.pid))


def titled(session: int, title: str) -> tuple[Process, ...]:
    """Return the processes of a session whose title begins so."""
    return tuple(found for found in of_session(session) if found.title.startswith(title))


def children(parent: int) -> tuple[int, ...]:
    """Return the live processes that a process has started itself, in whatever session they are."""
    return tuple(pid for pid in _pids() if _parent(pid) == parent)


def kill(pid: int) -> None:
    """End a process with SIGKILL; one that is gone already is as good."""
    send(pid, signal.SIGKILL)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process; one that is gone already is as good."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def is_alive(pid: int, session: int) -> bool:
    """Whether a process of a session still runs; a zombie does not."""
    return _is_of(pid, session)


def _pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").glob("[0-9]*"))


def _parent(pid: int) -> int | None:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return int(fields[_PARENT]) if len(fields) > _PARENT else None


def _is_of(pid: int, session: int) -> bool:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return len(fields) > _SESSION and fields[_SESSION] == str(session) and fields[0] != "Z"


def _title(pid: int) -> str:
    return _read(pid, "cmdline").replace("\0", " ").strip()


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
