"""How much memory something takes at its peak, whoever allocates it.

By the kernel's count of resident pages, not by `tracemalloc`: that sees Python's own memory alone,
and before Python 3.13 stopping it ends the process where another thread allocates (gh-128679).
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
"""What proc(5) wants to hear to begin the peak anew."""


class Peak:
    """The most bytes that were held beside those at the beginning, once the block has ended."""

    bytes = 0


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measure a block; what it loads or compiles only once should be there before."""
    gc.collect()
    _CLEAR.write_text(_RESET_PEAK)
    before, found = _resident("VmRSS"), Peak()
    yield found
    found.bytes = max(_resident("VmHWM") - before, 0)


def _resident(name: str) -> int:
    lines = _STATUS.read_text().splitlines()
    (size,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(size) * 1024
