"""Whether items are like those before: as seldom said of alike ones as promised, and of others."""

import numpy as np
import numpy.typing as npt
import pytest

from training.drift import FALSE_ALARM, drift

WORLDS = 60


def features(rows: int, seed: int, shift: float = 0.0) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (rng.standard_t(4, size=(rows, 8)) + shift).astype(np.float32)


def test_alike_items_are_seldom_said_to_differ() -> None:
    # Given many pairs of samples of one population
    p_values = np.array(
        [drift(features(60, 2 * n), features(80, 2 * n + 1), n).p_value for n in range(WORLDS)]
    )

    # Then their p-values are about uniform: no more alarms than promised, within chance
    assert (p_values <= FALSE_ALARM).sum() <= 3
    assert 0.3 < p_values.mean() < 0.7


@pytest.mark.parametrize("shift", [1.0, -1.0])
def test_items_from_elsewhere_are_noticed(shift: float) -> None:
    found = drift(features(100, 1), features(100, 2, shift), seed=0)

    assert found.alarmed
    assert found.distance > 0.1


def test_a_side_without_items_is_like_anything() -> None:
    assert not drift(features(1, 0), features(50, 1), seed=0).alarmed
    assert not drift(np.empty((0, 8)), np.empty((0, 8)), seed=0).alarmed
