"""Chores: they run beside the jobs, and one that breaks down is run again."""

from concurrent.futures import Future
from threading import Event

from serve_apps.jobs.chores import RESTART_AFTER_S, Chores
from tests.unit.allocation.worlds import ManualClock


def test_a_chore_that_breaks_down_is_run_again_after_a_while() -> None:
    # Given a chore that breaks down at once, and one that goes on
    clock, over = ManualClock(), Event()
    runs: list[str] = []

    def breaks() -> None:
        runs.append("breaks")
        raise OSError

    def goes_on() -> None:
        runs.append("goes on")
        over.wait(30)

    chores = Chores({"breaks": breaks, "goes on": goes_on}, clock)
    chores.keep()
    first: Future[None] = chores._running["breaks"]
    assert isinstance(first.exception(30), OSError)

    # When it is looked after, at once and later
    chores.keep()
    chores.keep()
    early = runs.count("breaks")
    clock.time += RESTART_AFTER_S
    chores.keep()
    assert isinstance(chores._running["breaks"].exception(30), OSError)
    over.set()

    # Then it was run again once, and the other was left alone
    assert (early, runs.count("breaks"), runs.count("goes on")) == (1, 2, 1)
