"""`ResultLog`: segments that continue one another, so that a cursor is a row number."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from cluster.domain.ids import JobId
from cluster.domain.results import ResultSegment
from cluster.errors import StaleRevision
from cluster.ports import Stores
from tests.conformance import samples


def test_segments_come_back_in_order(stores: Stores) -> None:
    segments = (samples.segment(0, 0, 5), samples.segment(1, 5, 3), samples.segment(2, 8, 1))
    for segment in segments:
        stores.results.append(segment)
    stores.results.append(samples.segment(0, 0, 1, JobId("job-0002")))

    assert stores.results.segments(samples.JOB, 0, 10) == segments
    assert stores.results.segments(JobId("unknown"), 0, 10) == ()


@pytest.mark.parametrize(
    ("number", "limit", "numbers"),
    [(None, 9, [2, 1, 0]), (None, 2, [2, 1]), (2, 9, [1, 0]), (1, 1, [0]), (0, 9, [])],
)
def test_segments_are_read_from_the_newest_on(
    stores: Stores, number: int | None, limit: int, numbers: list[int]
) -> None:
    for segment in (samples.segment(0, 0, 5), samples.segment(1, 5, 3), samples.segment(2, 8, 1)):
        stores.results.append(segment)

    found = stores.results.before(samples.JOB, number, limit)

    assert [segment.number for segment in found] == numbers
    assert stores.results.before(JobId("unknown"), None, 9) == ()


@pytest.mark.parametrize(
    ("from_row", "limit", "numbers"),
    [(0, 2, [0, 1]), (4, 9, [0, 1, 3]), (5, 9, [1, 3]), (7, 1, [1]), (8, 9, [3]), (9, 9, [])],
)
def test_reading_begins_with_the_segment_that_holds_the_row(
    stores: Stores, from_row: int, limit: int, numbers: list[int]
) -> None:
    for segment in (
        samples.segment(0, 0, 5),
        samples.segment(1, 5, 3),
        samples.segment(2, 8, 0),
        samples.segment(3, 8, 1),
    ):
        stores.results.append(segment)

    found = stores.results.segments(samples.JOB, from_row, limit)

    assert [segment.number for segment in found] == numbers


@pytest.mark.parametrize(
    "broken",
    [
        samples.segment(0, 0, 5),
        samples.segment(1, 4, 3),
        samples.segment(1, 6, 3),
        samples.segment(2, 5, 3),
        samples.segment(1, 0, 3),
    ],
)
def test_a_segment_that_does_not_continue_is_stale(stores: Stores, broken: ResultSegment) -> None:
    stores.results.append(samples.segment(0, 0, 5))

    with pytest.raises(StaleRevision):
        stores.results.append(broken)

    assert stores.results.segments(samples.JOB, 0, 10) == (samples.segment(0, 0, 5),)


@pytest.mark.parametrize("broken", [samples.segment(1, 0, 5), samples.segment(0, 1, 5)])
def test_a_log_begins_with_segment_0_at_row_0(stores: Stores, broken: ResultSegment) -> None:
    with pytest.raises(StaleRevision):
        stores.results.append(broken)


def test_of_parallel_appends_one_continues_the_log(stores: Stores) -> None:
    stores.results.append(samples.segment(0, 0, 5))

    def append(rows: int) -> int | None:
        try:
            stores.results.append(samples.segment(1, 5, rows))
        except StaleRevision:
            return None
        return rows

    with ThreadPoolExecutor(8) as threads:
        won = [rows for rows in threads.map(append, range(1, 17)) if rows is not None]

    assert [segment.rows for segment in stores.results.segments(samples.JOB, 5, 10)] == won
    assert len(won) == 1
