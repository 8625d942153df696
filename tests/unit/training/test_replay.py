"""Rows that are learnt from again: few enough, of every class, and counting for all."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.replay import sampled

counts = st.lists(st.integers(0, 60), min_size=2, max_size=5).filter(any)


def rows_of(sizes: list[int], seed: int) -> npt.NDArray[np.float32]:
    """Return certain posteriors of so many rows of each class, in random order."""
    classes = np.repeat(np.arange(len(sizes)), sizes)
    order = np.random.default_rng(seed).permutation(classes)
    targets: npt.NDArray[np.float32] = np.eye(len(sizes), dtype=np.float32)[order]
    return targets


@given(sizes=counts, most=st.integers(1, 120), seed=st.integers(0, 9))
def test_a_sample_keeps_to_its_size_and_to_the_rows_there_are(
    sizes: list[int], most: int, seed: int
) -> None:
    rows, weights = sampled(rows_of(sizes, seed), most, seed)

    assert len(rows) == len(weights) <= min(most, sum(sizes))
    assert (np.diff(rows) > 0).all()
    if sum(sizes) <= most:
        assert len(rows) == sum(sizes)


@given(sizes=counts, most=st.integers(5, 120), seed=st.integers(0, 9))
def test_no_class_gives_more_rows_than_another_that_had_more_to_give(
    sizes: list[int], most: int, seed: int
) -> None:
    targets = rows_of(sizes, seed)

    rows, _ = sampled(targets, most, seed)

    taken = np.bincount(targets[rows].argmax(axis=1), minlength=len(sizes))
    short = taken < np.array(sizes)
    assert (taken[short] == taken.max()).all()


@given(sizes=counts, most=st.integers(5, 120), seed=st.integers(0, 9))
def test_base_rates_are_kept(sizes: list[int], most: int, seed: int) -> None:
    targets = rows_of(sizes, seed)

    rows, weights = sampled(targets, most, seed)

    shares = (targets[rows] * weights[:, None]).sum(axis=0) / max(weights.sum(), 1e-9)
    np.testing.assert_allclose(shares, np.array(sizes) / sum(sizes), atol=1e-5)
    assert weights.mean() == pytest.approx(1.0, rel=1e-5)


def test_equal_arguments_give_equal_samples() -> None:
    targets = rows_of([40, 9], seed=1)

    assert sampled(targets, 20, 3)[0].tolist() == sampled(targets, 20, 3)[0].tolist()
    assert sampled(targets, 20, 3)[0].tolist() != sampled(targets, 20, 4)[0].tolist()


def test_nothing_is_sampled_from_nothing() -> None:
    assert len(sampled(np.empty((0, 3), np.float32), 10, 0)[0]) == 0
    assert len(sampled(rows_of([3, 4], 0), 0, 0)[0]) == 0
