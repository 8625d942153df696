"""The rows a training run sees, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainingData:
    """Rows to learn from, or one worker's share of them.

    `features` (n, D); `targets` (n, K) the consensus posterior of each row; `weights` (n,) what
    each row counts in the loss; `folds` (n,) the head that must not see it; `contents` (n,) the
    items themselves, texts or encoded images, empty for recipes that read features alone.
    """

    features: Floats
    targets: Floats
    weights: Floats
    folds: npt.NDArray[np.int64]
    contents: Sequence[str | bytes] = ()

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class JudgedData:
    """Rows that a model is judged on, each by its member that has not seen it.

    `positions` (n,) in the job, rising; `posterior` (n, K) what their answers say, of audited rows
    the audit answers alone; `audited` (n,) tells which these are; `contents` as in `TrainingData`.
    """

    positions: npt.NDArray[np.int64]
    features: Floats
    folds: npt.NDArray[np.int64]
    posterior: Floats
    audited: npt.NDArray[np.bool_]
    contents: Sequence[str | bytes] = ()
