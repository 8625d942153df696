from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cluster.domain.ids import JobId
from cluster.partitioning import plan_partitions


@given(st.integers(0, 5_000), st.integers(1, 9), st.integers(1, 700))
def test_partitions_cover_every_item_once_and_spread_evenly(
    items: int, shards: int, items_max: int
) -> None:
    plan = plan_partitions(JobId("job"), items, shards=shards, partition_items_max=items_max)

    covered = [
        position
        for found in plan
        for position in range(found.first_position, found.first_position + found.items)
    ]
    assert covered == list(range(items))
    assert [found.number for found in plan] == list(range(len(plan)))
    assert all(1 <= found.items <= items_max for found in plan)
    load = Counter(found.shard_id for found in plan)
    assert max(load.values(), default=0) - min((load[s] for s in load), default=0) <= 1
    assert all(0 <= shard < shards for shard in load)


def test_small_jobs_land_on_every_shard() -> None:
    homes = {
        plan_partitions(JobId(f"job-{n}"), 5, shards=4, partition_items_max=100)[0].shard_id
        for n in range(100)
    }
    assert homes == {0, 1, 2, 3}
