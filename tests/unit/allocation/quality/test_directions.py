"""Few dimensions tell as well which items are similar, where features have few that matter."""

import numpy as np
import pytest

from allocation.quality.directions import DIMENSIONS, SAMPLE_ROWS, leading, placed, unit


def test_cosines_survive_where_features_vary_in_few_directions() -> None:
    # Given features of 200 dimensions, most of which are noise
    rng = np.random.default_rng(1)
    features = rng.normal(size=(500, 10)) @ rng.normal(size=(10, 200))
    noisy = (features + 0.01 * rng.normal(size=features.shape)).astype(np.float32)

    # When they are placed in few
    found = placed(noisy, leading(noisy)).astype(np.float64)

    # Then who is similar to whom is as before
    assert found.shape == (500, DIMENSIONS)
    rows = unit(noisy)
    assert found @ found.T == pytest.approx(rows @ rows.T, abs=0.01)


def test_items_without_features_stay_without() -> None:
    features = np.vstack([np.eye(5), np.zeros((1, 5))]).astype(np.float32)

    found = placed(features, leading(features))

    assert found.shape == (6, 5)
    assert not found[5].any()


def test_axes_come_from_a_sample_of_many() -> None:
    # Given many rows, of which only those between the sampled ones leave a plane
    features = np.zeros((2 * SAMPLE_ROWS, 3), dtype=np.float32)
    features[::2, 0], features[1::2, 2] = 1.0, 1.0

    # Then the axes know of nothing but the plane
    assert not leading(features)[2, :1].any()
