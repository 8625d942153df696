import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import ModelUnusable, ObjectMissing
from serve_apps.prelabel.triage import (
    Failure,
    NotFiniteError,
    blamed_on,
    isolate,
    require_finite,
)
from tests.unit.prelabel.support import model_spec


class Runs:
    """Fails for groups that hold a bad index, and counts how often it was asked."""

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.count = bad, 0

    def __call__(self, group: Sequence[int]) -> list[int]:
        self.count += 1
        if self.bad & set(group):
            raise ValueError
        return [index * 10 for index in group]


@given(st.integers(0, 100), st.data())
def test_exactly_the_bad_items_fail_and_the_others_all_have_results(
    items: int, data: st.DataObject
) -> None:
    # Given a group with some bad items
    bad = data.draw(st.sets(st.integers(0, max(items - 1, 0)), max_size=items))
    runs = Runs(bad)
    # When they are isolated
    results: dict[int, int] = {}
    failed: set[int] = set()
    for group, result in isolate(range(items), runs):
        if isinstance(result, Failure):
            failed.update(group)
        else:
            results.update(zip(group, result, strict=True))
    # Then each item ended on its own side, at a logarithmic cost for each bad one
    assert failed == bad
    assert results == {index: index * 10 for index in range(items) if index not in bad}
    assert runs.count <= 1 + 2 * len(bad) * math.ceil(math.log2(items or 1) + 1)


def test_a_failure_names_the_error_and_never_its_text() -> None:
    ((_, failure),) = isolate([0], Runs({0}))
    assert failure == Failure("ValueError")


def test_a_deliberate_error_is_nobodys_poison() -> None:
    def run(group: Sequence[int]) -> None:
        raise ObjectMissing(f"path of {group}")

    with pytest.raises(ObjectMissing):
        list(isolate([0, 1], run))


def test_what_a_model_raises_becomes_model_unusable() -> None:
    expected = r"line-1 version 3 on fake cannot be used: it is broken \(KeyError\)"
    with (
        pytest.raises(ModelUnusable, match=expected),
        blamed_on(model_spec(version=3), "it is broken"),
    ):
        raise KeyError("a secret")


def test_an_error_of_ours_passes_through_blame() -> None:
    with pytest.raises(ObjectMissing), blamed_on(model_spec(), "it is broken"):
        raise ObjectMissing("path")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    with pytest.raises(NotFiniteError):
        require_finite(np.array([[1.0, value]], dtype=np.float32))
