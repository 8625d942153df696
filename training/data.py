"""The rows a training run sees, as arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainingData:
    """Rows to learn from, or one worker's share of them.

    `features` (n, D); `targets` (n, K) the consensus posterior of each row; `weights` (n,) what
    each row counts in the loss; `folds` (n,) the head that must not see it.
    """

    features: Floats
    targets: Floats
    weights: Floats
    folds: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AuditData:
    """Rows that are never learnt from.

    `positions` (n,) in the job; `posterior` (n, K) from independent audit answers alone.
    """

    positions: npt.NDArray[np.int64]
    features: Floats
    folds: npt.NDArray[np.int64]
    posterior: Floats
