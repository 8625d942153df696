"""Labels as they stand, read from the newest on."""

from collections import Counter
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import paths
from cluster.domain.results import ResultSegment
from cluster.ports import Stores
from cluster.result_writer import SCHEMA, latest_tables, newest_tables
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from tests.conformance import samples

ITEMS = 12

Deliveries = list[set[int]]
"""The positions of each segment; an item that comes again is corrected."""


class CountingObjects(MemoryObjects):
    """Counts the objects that were opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = 0

    def open_input(self, path: str) -> BinaryIO:
        self.opened += 1
        return super().open_input(path)


def delivered(deliveries: Deliveries, objects: MemoryObjects) -> Stores:
    """Return stores with a job that delivered these items, under a new label each time."""
    stores = memory_stores(objects)
    stores.chunks.add([samples.chunk(0, rows=ITEMS)])
    times = Counter[int]()
    first_row = 0
    for number, positions in enumerate(deliveries):
        rows = [
            {
                "position": position,
                "item_id": f"item-{position}",
                "label": f"{position}/{times[position]}",
                "probability": 0.5,
                "decided_by": "crowd",
                "answers": 1,
                "model_version": 0,
                "audited": False,
                "revision": times[position],
                "difficulty": None,
                "model_failed": False,
            }
            for position in sorted(positions)
        ]
        path = paths.results(samples.JOB, number)
        with objects.open_output(path) as stream:
            pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), stream)
        stores.results.append(
            ResultSegment(
                job_id=samples.JOB, number=number, first_row=first_row, rows=len(rows), path=path
            )
        )
        times.update(positions)
        first_row += len(rows)
    return stores


@settings(max_examples=60)
@given(st.lists(st.sets(st.integers(0, ITEMS - 1), min_size=1), max_size=8))
def test_every_item_comes_once_as_it_stands(deliveries: Deliveries) -> None:
    stores = delivered(deliveries, MemoryObjects())

    latest = [row for table in latest_tables(stores, samples.JOB) for row in table.to_pylist()]

    expected = [row for table in newest_tables(stores, samples.JOB) for row in table.to_pylist()]
    assert sorted(latest, key=lambda row: row["position"]) == sorted(
        expected, key=lambda row: row["position"]
    )


def test_nothing_is_read_ahead_of_the_first_labels() -> None:
    # Given a job that delivered in many parts
    objects = CountingObjects()
    stores = delivered([{position} for position in range(ITEMS)], objects)

    # When the first labels are taken
    table = next(latest_tables(stores, samples.JOB))

    # Then they are the last, and nothing else was read
    assert table["position"].to_pylist() == [ITEMS - 1]
    assert objects.opened == 1
