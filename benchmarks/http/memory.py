"""The memory of a process, as Linux counts it (proc_pid_status(5))."""

import re
from pathlib import Path

from benchmarks.chaos.processes import titled

MIB_KIB = 1_024.0


def pid_of(session: int, title: str) -> int:
    """Return the one process of a session whose title begins so."""
    (found,) = titled(session, title)
    return found.pid


def reset_peak(pid: int) -> None:
    """Let the peak begin at what the process holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mib(pid: int) -> float:
    """Return the most the process has held since the peak was reset, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / MIB_KIB if found else 0.0
