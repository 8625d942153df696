"""Features as directions in few dimensions, for telling which items are similar.

Rows are scaled to length 1 and projected to the leading right singular vectors of a sample, which
of all projections keeps inner products best (C. Eckart, G. Young, The Approximation of One Matrix
by Another of Lower Rank, Psychometrika 1, 1936). They are not centred: cosines are to stay.
"""

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.float32]
Axes = npt.NDArray[np.float32]

DIMENSIONS = 32
"""On the sentences of docs/predictions.md these foretold as well as all 384 of an embedding."""

SAMPLE_ROWS = 2_000


def leading(features: Features) -> Axes:
    """Return the leading directions of features (n, D), as columns (D, d), d at most 32."""
    rows = unit(features[:: max(1, -(-len(features) // SAMPLE_ROWS))])
    _, _, directions = np.linalg.svd(rows, full_matrices=False)
    return np.ascontiguousarray(directions[:DIMENSIONS].T)


def placed(features: Features, axes: Axes) -> npt.NDArray[np.float16]:
    """Return features (n, D) in the dimensions of axes (D, d), (n, d); zeros stay zeros."""
    return (unit(features) @ axes).astype(np.float16)


def unit(features: npt.NDArray[np.floating]) -> Features:
    """Return rows scaled to length 1; zeros stay zeros."""
    rows = np.asarray(features, dtype=np.float32)
    length = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return np.asarray(rows / length)
