"""Parquet columns of fixed-size lists, as matrices and back."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def matrix_of(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """Return a fixed_size_list column as float32 (rows, width)."""
    width = column.type.list_size
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    flat = np.concatenate([np.empty(0, np.float32), *(part.astype(np.float32) for part in parts)])
    return flat.reshape(-1, width)


def lists_of(matrix: npt.NDArray[np.floating], kind: pa.DataType) -> pa.FixedSizeListArray:
    """Return a matrix (rows, width) as a fixed_size_list column of `kind`."""
    flat = pa.array(matrix.astype(kind.to_pandas_dtype()).ravel(), kind)
    return pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1])
