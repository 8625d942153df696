"""What bulk work leaves to others."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import get_native_id

import pytest

from serve_apps.prelabel.yielding import NICENESS, yield_to_others

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness on Linux")


def niceness() -> int:
    """Return the niceness of the calling thread."""
    return os.getpriority(os.PRIO_PROCESS, get_native_id())


def test_bulk_threads_and_those_they_start_yield_and_no_other_does() -> None:
    # Given a pool whose threads yield, beside threads that do not
    before = niceness()
    with ThreadPoolExecutor(1, initializer=yield_to_others) as bulk, ThreadPoolExecutor(1) as other:

        def from_a_thread_of_its_own() -> int:
            with ThreadPoolExecutor(1) as started:
                return started.submit(niceness).result()

        # When each tells its niceness
        own, started = (bulk.submit(each) for each in (niceness, from_a_thread_of_its_own))
        beside = other.submit(niceness)
        # Then bulk threads and those they have started leave the processors to all others
        assert (own.result(), started.result()) == (NICENESS, NICENESS)
        assert (beside.result(), niceness()) == (before, before)
