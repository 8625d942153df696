from collections import Counter
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from allocation.fairness import FairShares

WEIGHTS = {"a": 1.0, "b": 2.5, "c": 7.0}


@given(st.lists(st.integers(1, 5), min_size=30, max_size=200))
def test_grants_follow_weights_within_one_batch_of_each(batches: list[int]) -> None:
    shares: FairShares[str] = FairShares()
    granted: Counter[str] = Counter()
    for batch in batches:
        flow = shares.next_of(WEIGHTS)
        shares.charge(flow, batch, WEIGHTS[flow])
        granted[flow] += batch
        for (one, weight), (other, other_weight) in combinations(WEIGHTS.items(), 2):
            gap = abs(granted[one] / weight - granted[other] / other_weight)
            assert gap <= 5 / weight + 5 / other_weight + 1e-9


def test_an_absent_flow_saves_up_nothing() -> None:
    shares: FairShares[str] = FairShares()
    for _ in range(1_000):
        shares.charge("a", 1, 1.0)

    granted: Counter[str] = Counter()
    for _ in range(100):
        flow = shares.next_of(["a", "b"])
        shares.charge(flow, 1, 1.0)
        granted[flow] += 1

    assert abs(granted["a"] - granted["b"]) <= 2


def test_a_copy_runs_ahead_alone() -> None:
    shares: FairShares[str] = FairShares()
    ahead = shares.copy()
    ahead.charge("a", 10, 1.0)

    assert shares.next_of(["a", "b"]) == "a"
    assert ahead.next_of(["a", "b"]) == "b"


def test_a_forgotten_flow_starts_anew() -> None:
    shares: FairShares[str] = FairShares()
    shares.charge("a", 10, 1.0)
    shares.forget("a")

    assert shares.in_turn(["b", "a"]) == ["b", "a"]
