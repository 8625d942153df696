import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from allocation.matching.dealing import deal
from allocation.matching.model import Demand, Supply, Table
from allocation.matching.problem import Solution, classify, formulate


@given(st.integers(2, 40), st.integers(1, 6), st.integers(1, 5), st.data())
def test_nobody_is_dealt_an_item_twice_or_one_barred(
    items: int, workers: int, wanted: int, data: st.DataObject
) -> None:
    # Given one class of items and slots that answer it, up to all its units
    pairs = st.tuples(st.integers(0, items - 1), st.integers(0, workers - 1))
    barred = data.draw(st.lists(pairs, max_size=20))
    demand = Demand.of(np.zeros(items, dtype=np.int64), wanted=wanted, barred=barred)
    supply = Supply.of(np.zeros(workers), capacity=items)
    values = Table(worth=np.ones((1, workers)))
    problem = formulate(demand, supply, values, classify(demand, exact=False))
    busy = data.draw(st.integers(0, min(items * wanted, len(problem.slots))))
    held = np.where(np.arange(len(problem.slots)) < busy, 0, -1).astype(np.int32)

    dealt = deal(demand, problem, Solution(held=held, prices=np.zeros(1, dtype=np.float32)))

    found = set(zip(dealt.item.tolist(), dealt.worker.tolist(), strict=True))
    assert len(found) == len(dealt.item) <= busy
    assert not found & set(barred)
    assert np.bincount(dealt.item, minlength=1).max(initial=0) <= wanted


def test_a_barred_item_changes_hands_and_no_answer_is_lost() -> None:
    # Given two workers, each of whom would be dealt exactly what is barred to them
    demand = Demand.of([0, 0, 0, 0], barred=[[0, 0], [1, 0], [2, 1], [3, 1]])
    supply = Supply.of([0.0, 0.0], capacity=2)
    problem = formulate(demand, supply, Table(worth=np.ones((1, 2))), classify(demand, exact=False))
    everybody = np.zeros(4, dtype=np.int32)

    dealt = deal(demand, problem, Solution(held=everybody, prices=np.zeros(1, dtype=np.float32)))

    pairs = sorted(zip(dealt.item.tolist(), dealt.worker.tolist(), strict=True))
    assert pairs == [(0, 1), (1, 1), (2, 0), (3, 0)]
