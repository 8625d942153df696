"""What a replica answers to an online request."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serve_apps.prelabel.model import Probabilities


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OnlineAnswer:
    """Probabilities (n, K) of a few contents, and the version whose head gave them.

    `failed` (n,) tells on which contents it failed; their rows are uniform.
    """

    version: int
    probabilities: Probabilities
    failed: npt.NDArray[np.bool_]
