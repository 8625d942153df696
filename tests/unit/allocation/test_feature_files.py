"""Features are read back chunk by chunk, and one that is missing stops nothing."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from allocation.feature_files import BASIS_CHUNKS, read_directions
from allocation.quality.directions import unit
from cluster import paths
from cluster.domain.items import Chunk
from cluster.ports import Stores
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from tests.memory import peak_memory
from tests.unit.allocation.worlds import JOB

ROWS = 20
BASE = "encoder"


@pytest.fixture
def stores() -> Stores:
    """A job of three chunks."""
    stores = memory_stores(MemoryObjects())
    stores.chunks.add(
        [
            Chunk(
                job_id=JOB,
                number=number,
                first_position=number * ROWS,
                rows=ROWS,
                items_path=paths.items(JOB, number),
            )
            for number in range(3)
        ]
    )
    return stores


def store(stores: Stores, number: int, features: np.ndarray, first: int | None = None) -> None:
    start = number * ROWS if first is None else first
    table = pa.table(
        {
            "position": np.arange(start, start + len(features)),
            "features": pa.FixedSizeListArray.from_arrays(
                pa.array(features.astype(np.float16).ravel()), features.shape[1]
            ),
            "failure": pa.nulls(len(features), pa.string()),
        }
    )
    with stores.objects.open_output(paths.features(JOB, BASE, number)) as stream:
        pq.write_table(table, stream)


def test_similar_items_are_similar_still(stores: Stores) -> None:
    # Given features of every chunk
    features = np.random.default_rng(1).normal(size=(3 * ROWS, 8)).astype(np.float32)
    for number in range(3):
        store(stores, number, features[number * ROWS : (number + 1) * ROWS])

    # When they are read
    found = read_directions(stores, JOB, BASE, 3 * ROWS).astype(np.float64)

    # Then items lie to each other as before
    assert found @ found.T == pytest.approx(unit(features) @ unit(features).T, abs=0.01)


def test_without_any_feature_there_are_no_directions(stores: Stores) -> None:
    assert read_directions(stores, JOB, BASE, 3 * ROWS).shape == (3 * ROWS, 0)


def test_what_is_missing_or_does_not_fit_is_zeros(stores: Stores) -> None:
    # Given one good chunk, one at other positions, one of another width
    rng = np.random.default_rng(2)
    store(stores, 0, rng.normal(size=(ROWS, 8)))
    store(stores, 1, rng.normal(size=(ROWS, 8)), first=7)
    store(stores, 2, rng.normal(size=(ROWS, 5)))

    # Then only the good one tells anything
    found = read_directions(stores, JOB, BASE, 3 * ROWS)
    assert found[:ROWS].any(axis=1).all()
    assert not found[ROWS:].any()


def test_features_that_are_no_numbers_are_zeros(stores: Stores) -> None:
    features = np.ones((ROWS, 4))
    features[3] = np.nan
    store(stores, 0, features)

    found = read_directions(stores, JOB, BASE, 3 * ROWS)

    assert np.isfinite(found).all()
    assert not found[3].any()


def test_no_more_than_a_sample_of_the_chunks_is_held() -> None:
    # Given features of so many rows that all chunks of the sample are sixteen times one
    stores, rows, width = memory_stores(MemoryObjects()), 4_000, 256
    chunks = [
        Chunk(
            job_id=JOB,
            number=number,
            first_position=number * rows,
            rows=rows,
            items_path=paths.items(JOB, number),
        )
        for number in range(BASIS_CHUNKS)
    ]
    stores.chunks.add(chunks)
    features = np.random.default_rng(3).normal(size=(rows, width))
    for chunk in chunks:
        store(stores, chunk.number, features, first=chunk.first_position)

    # When they are read, all that is loaded only once being there
    read_directions(stores, JOB, BASE, BASIS_CHUNKS * rows)
    with peak_memory() as peak:
        found = read_directions(stores, JOB, BASE, BASIS_CHUNKS * rows)

    # Then what is held besides the result is less than those chunks, let alone a copy of them
    assert found.any(axis=1).all()
    assert peak.bytes - found.nbytes < BASIS_CHUNKS * rows * width * 4
