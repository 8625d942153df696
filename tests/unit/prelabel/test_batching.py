from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from serve_apps.prelabel.batching import plan_batches

sizes = st.lists(st.integers(1, 512), max_size=200)
budgets = st.integers(1, 5_000)


@given(sizes, budgets)
def test_every_item_is_in_exactly_one_batch(sizes: list[int], budget: int) -> None:
    batches = plan_batches(sizes, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(sizes)))


@given(sizes, budgets)
def test_a_padded_batch_fits_the_budget_unless_it_is_one_item(
    sizes: list[int], budget: int
) -> None:
    for batch in plan_batches(sizes, budget):
        padded = len(batch) * max(sizes[index] for index in batch)
        assert padded <= budget or len(batch) == 1


@given(sizes, budgets)
def test_sizes_never_rise_from_batch_to_batch(sizes: list[int], budget: int) -> None:
    order = [sizes[index] for batch in plan_batches(sizes, budget) for index in batch]
    assert order == sorted(order, reverse=True)


@given(sizes, budgets)
def test_no_two_neighbours_would_fit_one_batch(sizes: list[int], budget: int) -> None:
    batches = plan_batches(sizes, budget)
    for first, _ in pairwise(batches):
        assert (len(first) + 1) * sizes[first[0]] > budget


def test_no_items_make_no_batches() -> None:
    assert plan_batches([], 100) == []
