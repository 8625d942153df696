import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import ModelUnusable, ObjectMissing
from serve_apps.prelabel.model import Features, Inference
from serve_apps.prelabel.triage import (
    Failure,
    NotFiniteError,
    blamed_on,
    isolate,
    launched,
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


class Launches:
    """Fails at the launch or at the end for groups with a bad index; keeps the order of steps."""

    def __init__(self, bad_at_launch: set[int], bad_in_the_end: set[int]) -> None:
        self.bad_at_launch, self.bad_in_the_end = bad_at_launch, bad_in_the_end
        self.steps: list[str] = []

    def __call__(self, group: Sequence[int]) -> Inference:
        self.steps.append(f"launch {group[0]}")
        if self.bad_at_launch & set(group):
            raise ValueError

        def finish() -> Features:
            self.steps.append(f"finish {group[0]}")
            if self.bad_in_the_end & set(group):
                raise MemoryError
            return np.array([[index] for index in group], dtype=np.float32)

        return finish


def test_a_batch_is_launched_before_the_last_one_is_waited_for() -> None:
    launches = Launches(set(), set())

    found = list(launched([[0, 1], [2], [3]], launches, ahead=1))

    assert [list(group) for group, _ in found] == [[0, 1], [2], [3]]
    assert launches.steps == [
        "launch 0",
        "launch 2",
        "finish 0",
        "launch 3",
        "finish 2",
        "finish 3",
    ]


@given(st.lists(st.integers(1, 6), max_size=8), st.integers(0, 3), st.data())
def test_items_that_fail_at_either_end_of_a_launch_are_isolated(
    sizes: list[int], ahead: int, data: st.DataObject
) -> None:
    # Given batches, some of whose items fail when launched, or when waited for
    items = list(range(sum(sizes)))
    bad = st.sets(st.sampled_from(items)) if items else st.just(set[int]())
    launches = Launches(data.draw(bad), data.draw(bad))
    starts = np.cumsum([0, *sizes]).tolist()
    groups = [items[first:end] for first, end in pairwise(starts)]

    # When they are launched ahead
    found = list(launched(groups, launches, ahead))

    # Then just those failed, and every item came out once
    failed = {group[0] for group, result in found if isinstance(result, Failure)}
    assert failed == launches.bad_at_launch | launches.bad_in_the_end
    assert sorted(index for group, _ in found for index in group) == items
    for group, result in found:
        if not isinstance(result, Failure):
            assert result.ravel().tolist() == list(group)


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
