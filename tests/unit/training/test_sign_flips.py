"""Random flips of signs: the same in bounded memory as all at once."""

import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest

from training.sign_flips import FLIPS, sign_flip_p_value


@pytest.mark.parametrize("items", [7, 120, 5_250])
def test_flips_in_blocks_are_those_of_one_draw(items: int) -> None:
    differences = np.random.default_rng(items).normal(0.01, 1.0, (items, 2))

    tracemalloc.start()
    found = sign_flip_p_value(differences)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found == at_once(differences)
    assert peak_bytes < 40e6


def at_once(differences: npt.NDArray[np.float64]) -> float:
    """Return the p-value by all flips in one array."""
    scaled = differences / np.sqrt(np.square(differences).sum(axis=0))
    drawn = np.random.default_rng(0).integers(0, 2, (FLIPS, len(scaled)), dtype=np.int8)
    reached = ((drawn * 2.0 - 1.0) @ scaled).max(axis=1) >= scaled.sum(axis=0).max() - 1e-12
    return float((1 + reached.sum()) / (1 + FLIPS))
