"""Threads that keep the order."""

import threading
from collections.abc import Iterator

import pytest

from ingest.ordered import Abandoned, Watch, map_in_order


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
    # Given work on the first item that ends when the fifth is taken
    taken: list[int] = []
    five_taken = threading.Event()

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            if len(taken) == 5:
                five_taken.set()
            yield item

    def work(item: int) -> int:
        assert five_taken.wait(10)
        return item

    results = map_in_order(work, items(), 2, 5)
    # Then it is yielded then, and never are more than five waiting
    assert next(results) == 0
    assert len(taken) == 5
    for number, result in enumerate(results, 1):
        assert result == number
        assert len(taken) <= number + 5


def test_large_items_are_taken_ahead_while_they_fit_together() -> None:
    # Given items of which the third is too much beside the first two, the fourth beside any
    taken: list[int] = []
    three_taken = threading.Event()

    def items() -> Iterator[int]:
        for item in (3, 3, 4, 20, 1, 1):
            taken.append(item)
            if len(taken) == 3:
                three_taken.set()
            yield item

    def work(item: int) -> int:
        assert three_taken.wait(10)
        return item

    results = map_in_order(work, items(), 2, 5, size=lambda item: item, size_max=9)
    # Then the first is waited for when the third is there, and the fourth before any other is taken
    assert (next(results), len(taken)) == (3, 3)
    assert [next(results) for _ in range(3)] == [3, 4, 20]
    assert len(taken) == 4
    assert list(results) == [1, 1]


def test_an_error_is_raised_in_its_place_and_ends_the_work() -> None:
    def work(item: int) -> int:
        return 10 // (3 - item)

    results = map_in_order(work, range(100), 2, 10)
    assert [next(results) for _ in range(3)] == [3, 5, 10]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


def test_what_a_watch_raises_ends_the_work_that_heeds_it() -> None:
    # Given work that would never end by itself, and a watch that raises at its third look
    looks: list[int] = []
    ends: list[int] = []

    def look() -> None:
        looks.append(len(looks))
        if len(looks) == 3:
            raise KeyError

    watch = Watch(look, 0.01)

    def work(item: int) -> None:
        try:
            while True:
                watch.heed()
        except Abandoned:
            ends.append(item)
            raise

    # When its first result is waited for
    results = map_in_order(work, range(100), 2, 4, watch=watch)
    with pytest.raises(KeyError):
        next(results)
    # Then what was begun has ended, and nothing else has begun
    assert looks == [0, 1, 2]
    assert sorted(ends) == [0, 1]
