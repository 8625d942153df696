"""A disk of a few megabytes and clocks that can be set, for the faults that need them (Linux)."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

DISK_SIZE = "400m"
AHEAD_FILE = "ahead_s"

_SHIM = f"""
import time
from pathlib import Path

ahead, machines = Path(__file__).with_name("{AHEAD_FILE}"), time.time
time.time = lambda: machines() + float(ahead.read_text() or 0)
"""


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a small disk at a folder, which takes root's rights; raises CalledProcessError."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def clock_environment(folder: Path) -> Mapping[str, str]:
    """Return what makes the clock of Python processes go by the seconds in `folder/ahead_s`.

    Only the clock that can be set, `time.time`: what measures how long something takes is left
    alone. libfaketime does not leave it so; under it CPython's own sleep fails.
    """
    folder.mkdir(exist_ok=True)
    (folder / AHEAD_FILE).write_text("0")
    (folder / "sitecustomize.py").write_text(_SHIM)
    path = [str(folder), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, path))}
