"""Who may be learnt from, and what each counts."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.split import balance_weights, classes_seen, training_rows

posteriors = arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.integers(2, 6)),
    elements=st.floats(2**-6, 1, width=32),
).map(lambda rows: rows / rows.sum(axis=1, keepdims=True))


@given(flags=arrays(np.bool_, st.tuples(st.just(2), st.integers(0, 50))))
def test_audit_items_are_never_learnt_from(flags: npt.NDArray[np.bool_]) -> None:
    trainable, audit = flags

    rows = training_rows(trainable, audit)

    assert not (rows & audit).any()
    assert (rows == (trainable & ~audit)).all()


@given(targets=posteriors, balance=st.floats(0, 1))
def test_rows_count_one_on_average(targets: npt.NDArray[np.float32], balance: float) -> None:
    weights = balance_weights(targets, balance)

    assert weights.mean() == pytest.approx(1.0, rel=1e-4)
    assert (weights > 0).all()


@given(targets=posteriors)
def test_without_balance_every_row_counts_the_same(targets: npt.NDArray[np.float32]) -> None:
    np.testing.assert_allclose(balance_weights(targets, 0.0), 1.0, rtol=1e-4)


def test_with_full_balance_every_class_counts_the_same() -> None:
    targets = np.eye(4, dtype=np.float32)[[0] * 80 + [1] * 15 + [2] * 5]

    weights = balance_weights(targets, 1.0)

    totals = (weights[:, None] * targets).sum(axis=0)
    np.testing.assert_allclose(totals, [100 / 3, 100 / 3, 100 / 3, 0.0], rtol=1e-4)


def test_classes_are_counted_by_their_most_likely_label() -> None:
    assert classes_seen(np.array([[0.6, 0.4, 0.0], [0.5, 0.3, 0.2]], np.float32)) == 1
    assert classes_seen(np.array([[0.6, 0.4, 0.0], [0.1, 0.3, 0.6]], np.float32)) == 2
    assert classes_seen(np.empty((0, 3), np.float32)) == 0
