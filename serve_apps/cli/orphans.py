"""A process that ends and leaves none behind."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


@contextmanager
def none_left_behind() -> Iterator[None]:
    """Kill what was started meanwhile below this process and is still there at the end.

    Ray ends its own processes, but those whose parent had to be killed look for their cluster for
    a minute more. Only Linux hands such orphans to the process they all come from (prctl(2)).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        while children := _children():
            for child in children:
                _end(child)


def _children() -> tuple[int, ...]:
    """Return the processes whose parent is this one, now."""
    threads = Path("/proc/self/task").glob("*/children")
    return tuple(int(child) for thread in threads for child in thread.read_text().split())


def _end(child: int) -> None:
    """Kill a process and wait for its end, upon which its own children are this process's."""
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(child, 0)
