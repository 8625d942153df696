"""Threads that keep the order."""

import threading
from collections.abc import Iterator

import pytest

from ingest.ordered import map_in_order


def test_results_come_in_order_though_later_ones_are_ready_first() -> None:
    # Given a first item that is done only after the second
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_done.wait(10)
        elif item == 1:
            second_done.set()
        return item * 10

    # Then the results come in order all the same
    assert list(map_in_order(work, range(20), 2, 4)) == [item * 10 for item in range(20)]


def test_only_so_many_items_are_taken_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = map_in_order(str, items(), 2, 5)
    assert next(results) == "0"
    assert len(taken) == 5
    assert next(results) == "1"
    assert len(taken) == 6


def test_an_error_is_raised_in_its_place_and_ends_the_work() -> None:
    def work(item: int) -> int:
        return 10 // (3 - item)

    results = map_in_order(work, range(100), 2, 10)
    assert [next(results) for _ in range(3)] == [3, 5, 10]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []
