"""A test of paired differences that needs no distribution: random flips of their signs."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FLIPS = 9_999
BLOCK_SIGNS = 2**20
"""So many signs are held at a time, 17 megabytes in all."""

_WORD = 4
"""The generator draws so many signs of a byte at once, and forgets those it was not asked for."""


def sign_flip_p_value(differences: Floats) -> float:
    """Return the one-sided p-value of the best of several paired scores (n, scores).

    The flips come from a fixed seed, so that a decision made again is the same decision. They are
    drawn and counted in blocks of whole words of the generator, which gives those of one draw.
    """
    spread = np.sqrt(np.square(differences).sum(axis=0))
    scaled = differences / np.where(spread > 0.0, spread, 1.0)
    observed = scaled.sum(axis=0).max() - 1e-12
    rng, reached = np.random.default_rng(0), 0
    block = _WORD * max(1, BLOCK_SIGNS // (_WORD * len(scaled)))
    for start in range(0, FLIPS, block):
        shape = (min(block, FLIPS - start), len(scaled))
        signs = rng.integers(0, 2, shape, dtype=np.int8) * 2.0 - 1.0
        reached += int(((signs @ scaled).max(axis=1) >= observed).sum())
    return (1 + reached) / (1 + FLIPS)
