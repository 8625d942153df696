"""Token buckets: a burst, a steady rate, and nobody forgotten but the idle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.gateway.buckets import Buckets, Rate

RATE = Rate(per_s=2.0, burst=4)


def passed(times: list[float], rate: Rate = RATE) -> list[bool]:
    buckets: Buckets[str] = Buckets(10)
    return [buckets.take("ann", rate, at).retry_after_s is None for at in times]


def test_a_burst_passes_and_then_the_steady_rate() -> None:
    assert passed([0.0] * 6) == [True] * 4 + [False] * 2
    assert passed([0.0] * 4 + [0.5, 0.5, 1.0, 1.4]) == [True] * 5 + [False, True, False]


def test_who_is_refused_is_told_when_to_come_back_and_passes_then() -> None:
    buckets: Buckets[str] = Buckets(10)
    lefts = [buckets.take("ann", RATE, 10.0).left for _ in range(4)]
    refused = buckets.take("ann", RATE, 10.1)

    assert lefts == [3, 2, 1, 0]
    assert refused.retry_after_s == pytest.approx(0.4)
    assert refused.full_in_s == pytest.approx(1.9)
    assert buckets.take("ann", RATE, 10.1 + (refused.retry_after_s or 0.0)).retry_after_s is None


def test_holders_do_not_share() -> None:
    buckets: Buckets[str] = Buckets(10)
    for _ in range(4):
        buckets.take("ann", RATE, 0.0)

    assert buckets.take("ann", RATE, 0.0).retry_after_s is not None
    assert buckets.take("zoe", RATE, 0.0).retry_after_s is None


def test_a_clock_that_goes_back_costs_a_window_at_most() -> None:
    assert passed([1_000.0] * 4 + [0.0, 0.5]) == [True] * 4 + [False, True]


def test_only_so_many_holders_are_kept() -> None:
    buckets: Buckets[int] = Buckets(3)
    for holder in range(10):
        buckets.take(holder, RATE, float(holder))

    assert list(buckets._full_at) == [7, 8, 9]


@given(
    gaps=st.lists(st.floats(0.0, 2.0), min_size=1, max_size=80),
    per_s=st.floats(0.5, 50.0),
    burst=st.integers(1, 20),
)
def test_no_stretch_of_time_sees_more_than_the_burst_and_the_rate(
    gaps: list[float], per_s: float, burst: int
) -> None:
    # Given requests at any times
    times = [sum(gaps[: place + 1]) for place in range(len(gaps))]
    rate = Rate(per_s=per_s, burst=burst)

    # Then whatever stretch is looked at, no more passed than the bucket holds and gets in it
    through = [at for at, is_through in zip(times, passed(times, rate), strict=True) if is_through]
    for first in range(len(through)):
        for last in range(first, len(through)):
            stretch_s = through[last] - through[first]
            assert last - first + 1 <= burst + per_s * stretch_s + 0.01
