"""Chunks: complete, in order, within bounds, the same every time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.plan import ChunkPlan, rows_max_at


def cut(sizes: list[int], plan: ChunkPlan, steps: list[int]) -> list[list[int]]:
    """Return the sizes by chunk, given to the plan in so many at a time, over and over."""
    chunks: list[list[int]] = [[]]
    first = 0
    while first < len(sizes):
        step = steps[len(chunks) % len(steps)]
        some = sizes[first : first + step]
        taken = 0
        for end in plan.ends(np.array(some)):
            chunks[-1] += some[taken:end]
            chunks.append([])
            taken = end
        chunks[-1] += some[taken:]
        first += step
    return chunks if chunks[-1] else chunks[:-1]


@given(
    sizes=st.lists(st.integers(1, 20), max_size=150),
    rows_first=st.integers(1, 7),
    bytes_max=st.integers(1, 200),
    steps=st.lists(st.integers(1, 40), min_size=1, max_size=4),
)
def test_chunks_hold_every_item_in_order_within_their_bounds(
    sizes: list[int], rows_first: int, bytes_max: int, steps: list[int]
) -> None:
    chunks = cut(sizes, ChunkPlan(rows_first, bytes_max), steps)
    # Nothing is lost, and the plan is as long as its bounds ask for, no longer
    assert [size for chunk in chunks for size in chunk] == sizes
    position = 0
    for chunk, following in zip(chunks, [*chunks[1:], []], strict=False):
        rows_max = rows_max_at(position, rows_first)
        assert 1 <= len(chunk) <= rows_max
        assert sum(chunk) <= bytes_max or len(chunk) == 1
        if following:
            assert len(chunk) == rows_max or sum(chunk) + following[0] > bytes_max
        position += len(chunk)


@given(sizes=st.lists(st.integers(1, 20), max_size=150), taken=st.integers(0, 9))
def test_a_later_run_cuts_as_the_first_would_have(sizes: list[int], taken: int) -> None:
    # Given a run that ended after some chunks
    chunks = cut(sizes, ChunkPlan(3, 50), [7])
    done = sum(map(len, chunks[:taken]))
    # When another goes on from there
    rest = cut(sizes[done:], ChunkPlan(3, 50, position=done), [5])
    # Then it makes the chunks that were left
    assert rest == chunks[taken:]


def test_chunks_grow_with_the_job() -> None:
    assert [rows_max_at(position, 256) for position in (0, 4_096, 16_000, 32_000, 10**8)] == [
        256,
        256,
        1_000,
        2_000,
        4_096,
    ]
