from serve_apps.prelabel.at_work import AtWork
from tests.unit.allocation.worlds import ManualClock


def test_work_that_takes_longer_than_it_should_is_overdue_until_it_ends() -> None:
    # Given two pieces of work, one of which should soon be done
    clock = ManualClock()
    at_work, seen = AtWork(clock), list[bool]()
    with at_work.within(60.0):
        with at_work.within(10.0):
            seen.append(at_work.is_overdue)
            # When it takes longer, and then ends
            clock.time += 11.0
            seen.append(at_work.is_overdue)
        seen.append(at_work.is_overdue)
    # Then there was work overdue in between
    assert seen == [False, True, False]
