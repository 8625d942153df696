"""Remembering digests: exactly, in memory or on disk, and in few bytes."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.dedupe import Seen
from ingest.digests import Digests
from ingest.rows import Integers


def drawn(numbers: list[int] | range) -> Digests:
    """Return a digest for each number, equal ones for equal numbers."""
    words = np.random.default_rng(7).integers(0, 2**64, (200_000, 2), np.uint64)
    return words[list(numbers)]


def given_in(seen: Seen, digests: Digests, step: int) -> list[int]:
    """Return what is found where digests come on lines from 1 on, so many at a time."""
    lines = np.arange(1, len(digests) + 1)
    parts: list[Integers] = [
        seen.first_lines(digests[first : first + step], lines[first : first + step])
        for first in range(0, len(digests), step)
    ]
    return [int(line) for part in parts for line in part]


@given(
    numbers=st.lists(st.integers(0, 60), max_size=300),
    slots_max=st.sampled_from([8, 16, 2**20]),
    step=st.integers(1, 100),
)
def test_it_answers_as_a_dictionary_would(numbers: list[int], slots_max: int, step: int) -> None:
    # Given digests in any order, again and again, where few or many fit into memory
    found = given_in(Seen(slots_max), drawn(numbers), step)
    # Then each is told the line it came on first
    first = dict[int, int]()
    expected = [first.setdefault(number, line) for line, number in enumerate(numbers, 1)]
    assert found == [line if line < place else 0 for place, line in enumerate(expected, 1)]


@pytest.mark.parametrize("slots_max", [64, 2**20])
def test_digests_that_fall_on_one_slot_are_kept_apart(slots_max: int) -> None:
    # Given digests that differ in their first word alone, or in their last, and one of zeros
    alike = np.zeros((200, 2), np.uint64)
    alike[:100, 0] = np.arange(100) * 2
    alike[100:, 1] = np.arange(1, 101)
    seen = Seen(slots_max)
    assert given_in(seen, alike, 10) == [0] * 200
    assert given_in(seen, alike, 200) == list(range(1, 201))


def test_what_is_on_disk_takes_two_bytes_a_digest_of_memory() -> None:
    # Given 200,000 digests and a table of 4,096 slots, so that runs are merged twice over
    digests = drawn(range(200_000))
    given_in(Seen(4_096), digests[:5_000], 1_000)  # what is compiled is no part of it
    tracemalloc.start()
    seen = Seen(4_096)
    assert not any(given_in(seen, digests, 1_000))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Then the table and the filters are all that is held
    assert held < 4_096 * 24 + 200_000 * 2.7
    # And every digest is known by its line, and a new one is not
    assert given_in(seen, digests[::97], 100) == list(range(1, 200_001, 97))
    assert not seen.first_lines(np.array([[1, 2]], np.uint64), np.array([1])).any()
