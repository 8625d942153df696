"""Chunks and partitions: complete, in order, within bounds, the same every time."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.domain.ids import ItemId
from ingest.plan import plan_chunks
from ingest.rows import Candidate


def items(sizes: list[int]) -> list[Candidate]:
    return [
        Candidate(line, ItemId(str(line)), "x", bytes(16), size)
        for line, size in enumerate(sizes, 1)
    ]


@given(
    sizes=st.lists(st.integers(1, 20), max_size=30),
    rows_max=st.integers(1, 7),
    bytes_max=st.integers(1, 40),
)
def test_chunks_hold_every_item_in_order_within_their_bounds(
    sizes: list[int], rows_max: int, bytes_max: int
) -> None:
    found = items(sizes)
    chunks = list(plan_chunks(found, rows_max, bytes_max))
    # Nothing is lost, and the plan is as long as its bounds ask for, no longer
    assert [item for chunk in chunks for item in chunk] == found
    totals = [sum(item.size for item in chunk) for chunk in chunks]
    for chunk, total in zip(chunks, totals, strict=True):
        assert 1 <= len(chunk) <= rows_max
        assert total <= bytes_max or len(chunk) == 1
    for chunk, total, following in zip(chunks, totals, chunks[1:], strict=False):
        assert len(chunk) == rows_max or total + following[0].size > bytes_max


def test_chunks_are_cut_while_items_arrive() -> None:
    # Given a source without end
    endless = (item for size in iter(lambda: 1, 0) for item in items([size]))
    # Then its first chunk comes all the same
    assert len(next(plan_chunks(endless, 3, 100))) == 3
