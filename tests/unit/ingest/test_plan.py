"""Chunks and partitions: complete, in order, within bounds, the same every time."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.domain.ids import ItemId, JobId
from ingest.plan import plan_chunks, plan_partitions, shard_of
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


@given(items=st.integers(0, 5_000), items_max=st.integers(1, 900), shards=st.integers(1, 9))
def test_partitions_cover_a_job_without_gap_and_alike(
    items: int, items_max: int, shards: int
) -> None:
    partitions = plan_partitions(JobId("j"), items, items_max, shards)
    assert sum(p.items for p in partitions) == items
    assert len(partitions) == -(-items // items_max)
    first = 0
    for number, partition in enumerate(partitions):
        assert (partition.number, partition.first_position) == (number, first)
        assert 1 <= partition.items <= items_max
        assert 0 <= partition.shard_id < shards
        assert partition.epoch == 0
        first += partition.items
    sizes = {p.items for p in partitions}
    assert not sizes or max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_many_small_jobs_spread_over_all_shards(shards: int) -> None:
    owners = Counter(shard_of(JobId(f"job-{job}"), 0, shards) for job in range(700))
    assert set(owners) == set(range(shards))
    assert max(owners.values()) < 2 * 700 / shards


def test_the_shard_of_a_partition_never_changes() -> None:
    assert [shard_of(JobId("job-1"), number, 5) for number in range(6)] == [2, 0, 4, 4, 3, 3]
