import numpy as np
import pytest

from allocation.matching import auction, transport
from allocation.matching.bound import upper_bound
from allocation.matching.problem import FREE, Solution, classify, formulate, worth_of_slots
from benchmarks.push_cases import SHAPES, cases, optimum


@pytest.mark.parametrize("shape", SHAPES)
def test_no_prices_whatever_give_a_bound_below_the_optimum(shape: str) -> None:
    rng = np.random.default_rng(11)
    for case in cases(SHAPES[shape], 2, seed=11):
        best = optimum(case)
        for exact in (True, False):
            classes = classify(case.demand, exact=exact)
            problem = formulate(case.demand, case.supply, case.values, classes)
            prices = rng.random(len(problem.units)).astype(np.float32)
            held = auction.solve(problem).held
            nobody = np.full(len(held), FREE, dtype=np.int32)

            bounds = [
                upper_bound(problem, Solution(held=given, prices=at))
                for given in (held, nobody)
                for at in (prices, np.zeros_like(prices))
            ]

            assert min(bounds) >= best - 1e-5


@pytest.mark.parametrize("shape", SHAPES)
def test_at_the_optimum_the_bound_is_the_optimum(shape: str) -> None:
    for case in cases(SHAPES[shape], 3, seed=12):
        classes = classify(case.demand, exact=True)
        problem = formulate(case.demand, case.supply, case.values, classes)

        solution = transport.solve(problem)

        assert solution is not None
        found = worth_of_slots(problem, solution.held)
        assert found == pytest.approx(optimum(case), rel=1e-5, abs=1e-6)
        assert upper_bound(problem, solution) == pytest.approx(found, rel=1e-5, abs=1e-6)
