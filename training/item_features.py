"""What a snapshot joins with a consensus: the features of items, wherever they were read from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cluster.errors import ObjectMissing
from cluster.ports import ObjectStore
from training.tables import lists_of, matrix_of

Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ItemFeatures:
    """Features (n, D) of items at rising positions (n,), and which of them have any.

    `contents` (n,) are binary, all null where the recipe reads none.
    """

    positions: Positions
    matrix: Floats
    usable: npt.NDArray[np.bool_]
    hashes: Sequence[bytes]
    contents: pa.Array

    def at(self, positions: Positions) -> "ItemFeatures":
        """Return those of some of the positions, which rise."""
        rows = np.searchsorted(self.positions, positions)
        return ItemFeatures(
            positions=positions,
            matrix=self.matrix[rows],
            usable=self.usable[rows],
            hashes=[self.hashes[row] for row in rows],
            contents=self.contents.take(pa.array(rows)),
        )

    def write(self, objects: ObjectStore, path: str) -> None:
        """Store them, features as the half-precision numbers they are."""
        columns = {
            "position": pa.array(self.positions),
            "features": lists_of(self.matrix, pa.float16()),
            "usable": pa.array(self.usable),
            "content_hash": pa.array(self.hashes, pa.binary()),
            "content": self.contents,
        }
        with objects.open_output(path) as stream:
            pq.write_table(pa.table(columns), stream, compression="zstd", use_dictionary=False)

    @classmethod
    def read(cls, objects: ObjectStore, path: str) -> Self | None:
        """Return what was stored; None where nothing was, or it cannot be read."""
        try:
            with objects.open_input(path) as stream:
                table = pq.read_table(stream)
        except (ObjectMissing, pa.ArrowException):
            return None
        return cls(
            positions=table["position"].to_numpy(),
            matrix=matrix_of(table["features"]),
            usable=table["usable"].to_numpy(),
            hashes=table["content_hash"].to_pylist(),
            contents=table["content"].combine_chunks(),
        )


def merged(parts: Sequence[ItemFeatures]) -> ItemFeatures:
    """Return those of all parts, of which there is at least one, by rising position."""
    positions = np.concatenate([part.positions for part in parts])
    order = np.argsort(positions)
    hashes = [each for part in parts for each in part.hashes]
    contents = pa.concat_arrays([part.contents for part in parts])
    return ItemFeatures(
        positions=positions[order],
        matrix=np.concatenate([part.matrix for part in parts])[order],
        usable=np.concatenate([part.usable for part in parts])[order],
        hashes=[hashes[row] for row in order],
        contents=contents.take(pa.array(order)),
    )
