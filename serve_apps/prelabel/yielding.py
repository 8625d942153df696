"""Bulk work leaves the processors to whatever somebody waits for."""

import os
import sys
from threading import get_native_id

NICENESS = 19
"""Ray runs its workers at 15; this has two fifths of their claim on a processor (sched(7))."""


def yield_to_others() -> None:
    """Lower the claim of this thread, and of those it will start; on Linux, which can do so."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, get_native_id(), NICENESS)
