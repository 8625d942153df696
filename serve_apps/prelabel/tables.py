"""The Parquet objects of pre-labelling: items in, features kept, predictions out."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cluster.domain.ids import ItemId
from cluster.domain.items import Chunk
from cluster.errors import ObjectMissing
from cluster.item_reader import read_items
from cluster.ports import ObjectStore
from serve_apps.prelabel.model import Content, Features, Probabilities

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ItemTable:
    """The items of one chunk but for their contents, as columns of equal length."""

    positions: Positions
    item_ids: Sequence[ItemId]
    content_hashes: Sequence[bytes]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """The features of one chunk; `failures` is None for items that have them.

    A failed item's features are zero. Values are those a float16 can hold, so that features read
    back are the features that were written.
    """

    positions: Positions
    features: Features
    failures: Sequence[str | None]

    @classmethod
    def of(
        cls, positions: Positions, features: Features, failures: Sequence[str | None]
    ) -> "FeatureTable":
        """Return a table of features, rounded to what is stored."""
        return cls(positions, features.astype(np.float16).astype(np.float32), failures)


def read_item_table(objects: ObjectStore, chunk: Chunk) -> ItemTable:
    """Return a chunk's items without their contents; raises ObjectMissing."""
    table = read_items(objects, chunk, ("position", "item_id", "content_hash"))
    return ItemTable(
        positions=table["position"].to_numpy(),
        item_ids=table["item_id"].to_pylist(),
        content_hashes=table["content_hash"].to_pylist(),
    )


def read_contents(objects: ObjectStore, chunk: Chunk) -> Sequence[Content]:
    """Return the contents of a chunk's items; raises ObjectMissing."""
    contents: list[Content] = read_items(objects, chunk, ("content",))["content"].to_pylist()
    return contents


def read_features(objects: ObjectStore, path: str) -> FeatureTable | None:
    """Return a chunk's features, or None where nobody has written them yet."""
    try:
        source = objects.open_input(path)
    except ObjectMissing:
        return None
    with source:
        table = pq.read_table(source)
    return FeatureTable(
        positions=table["position"].to_numpy(),
        features=_matrix(table["features"]).astype(np.float32),
        failures=table["failure"].to_pylist(),
    )


def write_features(objects: ObjectStore, path: str, table: FeatureTable) -> None:
    """Store a chunk's features.

    Columns: `position int64, features fixed_size_list<float16>[D], failure string`, the last null
    unless the encoder failed on the item.
    """
    columns = {
        "position": pa.array(table.positions, pa.int64()),
        "features": _lists(table.features.astype(np.float16)),
        "failure": pa.array(table.failures, pa.string()),
    }
    _write(objects, path, pa.table(columns))


def write_predictions(
    objects: ObjectStore, path: str, positions: Positions, probabilities: Probabilities
) -> None:
    """Store a chunk's pre-labels in the columns `cluster.domain.items.ChunkPrediction` names."""
    columns = {
        "position": pa.array(positions, pa.int64()),
        "probabilities": _lists(probabilities.astype(np.float32)),
    }
    _write(objects, path, pa.table(columns))


def _lists(matrix: npt.NDArray[np.floating]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])


def _matrix(column: pa.ChunkedArray) -> npt.NDArray[np.floating]:
    flat: npt.NDArray[np.floating] = column.combine_chunks().flatten().to_numpy()
    return flat.reshape(len(column), column.type.list_size)


def _write(objects: ObjectStore, path: str, table: pa.Table) -> None:
    sink = BytesIO()
    # Statistics of half floats take twice as long as everything else, and nobody asks for them.
    pq.write_table(table, sink, compression="zstd", use_dictionary=False, write_statistics=False)
    objects.write(path, sink.getvalue())
