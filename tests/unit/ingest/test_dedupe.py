"""Remembering digests: exactly, and in few bytes."""

import tracemalloc
from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from ingest.dedupe import Seen


def digest(number: int) -> bytes:
    return blake2b(number.to_bytes(8, "big"), digest_size=16).digest()


@given(st.lists(st.integers(0, 30)))
def test_it_answers_as_a_dictionary_would(numbers: list[int]) -> None:
    # Given digests in any order, again and again
    seen, first = Seen(), dict[int, int]()
    for line, number in enumerate(numbers, 1):
        # Then each is told the line it came on first
        assert seen.first_line(digest(number), line) == first.get(number)
        first.setdefault(number, line)
    assert len(seen) == len(first)


def test_digests_that_fall_on_one_slot_are_kept_apart() -> None:
    # Given digests that differ in their first byte alone, and one of nothing but zeros
    alike = [bytes([number]) + bytes(15) for number in range(200)]
    seen = Seen()
    assert [seen.first_line(d, line) for line, d in enumerate(alike, 1)] == [None] * 200
    assert [seen.first_line(d, 999) for d in alike] == list(range(1, 201))


def test_ten_thousand_take_the_bytes_that_are_promised() -> None:
    # Given as many digests as make the table grow four times
    tracemalloc.start()
    seen = Seen()
    for number in range(1, 10_001):
        assert seen.first_line(digest(number), number) is None
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Then each is known by its line, and the table holds what its docstring says
    assert all(seen.first_line(digest(n), 1) == n for n in range(1, 10_001, 97))
    assert 40 * 10_000 <= held <= 80 * 10_000
