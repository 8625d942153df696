import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import linear_sum_assignment

from allocation.matching.model import Demand, Factors, Supply, Table
from allocation.matching.plan import Plan, Reason, match
from benchmarks.push_cases import SHAPES, Case, cases, optimum

BY_AUCTION = 0


@pytest.mark.parametrize("shape", SHAPES)
def test_a_small_plan_is_the_best_there_is(shape: str) -> None:
    for case in cases(SHAPES[shape], 3, seed=1):
        plan = match(case.demand, case.supply, case.values)

        assert plan.worth == pytest.approx(optimum(case), rel=1e-5, abs=1e-6)
        assert plan.share > 1 - 1e-5


@pytest.mark.parametrize("shape", SHAPES)
def test_an_auctioned_plan_is_nearly_the_best_there_is(shape: str) -> None:
    for case in cases(SHAPES[shape], 3, seed=2):
        plan = match(case.demand, case.supply, case.values, exact_max=BY_AUCTION)

        best = optimum(case)
        assert plan.worth >= 0.98 * best - 1e-6
        assert plan.bound >= best - 1e-5


@pytest.mark.parametrize("exact_max", [BY_AUCTION, 100_000])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_plan_keeps_every_rule(shape: str, exact_max: int) -> None:
    for case in cases(SHAPES[shape], 3, seed=3):
        plan = match(case.demand, case.supply, case.values, exact_max=exact_max)

        assert_it_keeps_the_rules(case, plan)


def test_one_answer_an_item_is_an_assignment_problem() -> None:
    rng = np.random.default_rng(4)
    value = rng.random((40, 25))

    plan = match(Demand.of(np.arange(40)), Supply.of(np.zeros(25)), Table(worth=value))

    rows, columns = linear_sum_assignment(value, maximize=True)
    assert plan.worth == pytest.approx(value[rows, columns].sum())


def test_one_worker_with_room_for_thousands_is_no_harder() -> None:
    value = np.linspace(-1, 1, 3_000)[:, None]

    plan = match(Demand.of(np.arange(3_000)), Supply.of([0.0], capacity=9_000), Table(worth=value))

    assert plan.worth == pytest.approx(value[value > 0].sum())
    assert plan.share > 1 - 1e-5


def test_many_items_and_workers_are_within_a_thousandth_of_the_bound() -> None:
    # Given more than the linear program is asked to solve
    demand, supply, values = crowd(items=20_000, workers=3_000, seed=5)

    plan = match(demand, supply, values)

    assert plan.share > 0.999
    assert_it_keeps_the_rules(Case(demand=demand, supply=supply, values=values), plan)


def test_workers_all_alike_are_no_harder() -> None:
    # Given that every price war could last for ever
    demand = Demand.of(np.arange(2_000) % 40, wanted=2)
    supply = Supply.of(np.full(250, 0.1), capacity=20)
    value = Table(worth=np.full((40, 1), 0.5), worker_kind=np.zeros(250, dtype=np.int64))

    plan = match(demand, supply, value, exact_max=BY_AUCTION)

    assert plan.worth == pytest.approx(0.4 * 4_000, rel=2e-3)
    assert plan.share > 0.998


def test_prices_that_a_sample_made_too_high_come_down_again() -> None:
    # Given classes of 23 units, of which a sample of one slot in sixteen has 1 instead of 1.4
    rng = np.random.default_rng(8)
    demand = Demand.of(np.arange(2_300) % 100)
    supply = Supply.of(rng.random(4_100) / 10, capacity=20)
    values = Factors(of_kind=rng.random((100, 4)), of_worker=rng.random((4_100, 4)))

    plan = match(demand, supply, values)

    assert plan.share > 0.999


def test_the_same_crowd_is_matched_the_same_way() -> None:
    crowds = [crowd(items=1_000, workers=300, seed=6) for _ in range(2)]
    first, second = (match(*found, exact_max=BY_AUCTION) for found in crowds)

    assert np.array_equal(first.item, second.item)
    assert np.array_equal(first.worker, second.worker)


def test_the_urgent_item_goes_to_the_fast_worker_and_first() -> None:
    demand = Demand.of([0, 0, 0], weight=[0.0, 0.01, 0.001])
    supply = Supply.of([0.1, 0.1], seconds=[10, 60], capacity=[2, 2])

    plan = match(demand, supply, Table(worth=np.ones((1, 2))))

    due = dict(zip(plan.item.tolist(), plan.due_s.tolist(), strict=True))
    assert due == {1: 10.0, 2: 20.0, 0: 60.0}


def test_an_item_is_left_with_its_reason() -> None:
    demand = Demand.of(
        [0, 0, 1, 0, 2],
        wanted=[1, 1, 1, 2, 1],
        skills=[0b1000, 0b0001, 0b0010, 0b0010, 0b0100],
        barred=[[3, 1]],
    )
    supply = Supply.of(
        [0.1, 0.1, 0.1, 0.1], capacity=[0, 3, 0, 3], skills=[0b0001, 0b0010, 0b0001, 0b0100]
    )

    plan = match(demand, supply, Table(worth=np.repeat([[1.0], [1.0], [0.05]], 4, axis=1)))

    # Then nobody has the first skill, nobody with the second has room, the third item is asked
    # once, the fourth only of whom it must not be, and the last is not worth its price
    expected = [Reason.NO_SKILL, Reason.NO_CAPACITY, Reason.NONE, Reason.REPEAT, Reason.NOT_WORTH]
    assert plan.reason.tolist() == expected
    assert plan.left.tolist() == [1, 1, 0, 2, 1]
    assert plan.left_for(Reason.REPEAT) == 2


@pytest.mark.parametrize(("items", "workers"), [(0, 0), (0, 3), (3, 0)])
def test_nothing_is_a_plan_too(items: int, workers: int) -> None:
    demand = Demand.of(np.zeros(items, dtype=np.int64))

    for exact_max in (BY_AUCTION, 100_000):
        plan = match(
            demand, Supply.of(np.zeros(workers)), Table(worth=np.ones((1, 3))), exact_max=exact_max
        )

        assert len(plan.item) == 0
        assert plan.share == 1.0
        assert plan.left.sum() == items


def test_factors_and_a_table_of_the_same_worth_give_the_same_plan() -> None:
    demand, supply, values = crowd(items=300, workers=40, seed=7)
    table = Table(worth=values.of_kind @ values.of_worker.T)

    assert match(demand, supply, values).worth == pytest.approx(match(demand, supply, table).worth)


def crowd(*, items: int, workers: int, seed: int) -> tuple[Demand, Supply, Factors]:
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 32, items)
    demand = Demand.of(
        kind,
        wanted=rng.integers(1, 4, items),
        skills=np.array([0, 1, 2, 3])[kind % 4],
        weight=np.array([0.0, 1e-4, 1e-3])[kind % 3],
        barred=np.stack([rng.integers(0, items, items), rng.integers(0, workers, items)], axis=1),
    )
    supply = Supply.of(
        rng.gamma(2, 0.02, workers),
        seconds=rng.lognormal(2.5, 0.5, workers),
        capacity=rng.integers(0, 20, workers),
        skills=rng.integers(0, 4, workers),
    )
    values = Factors(of_kind=rng.random((32, 3)), of_worker=rng.beta(4, 2, (workers, 3)) / 3)
    return demand, supply, values


def assert_it_keeps_the_rules(case: Case, plan: Plan) -> None:
    demand, supply = case.demand, case.supply
    pairs = set(zip(plan.item.tolist(), plan.worker.tolist(), strict=True))
    given: npt.NDArray[np.int64] = np.bincount(plan.item, minlength=len(demand))
    assert len(pairs) == len(plan.item)
    assert not pairs & {(item, worker) for item, worker in demand.barred.tolist()}
    assert ((demand.skills[plan.item] & ~supply.skills[plan.worker]) == 0).all()
    assert (np.bincount(plan.worker, minlength=len(supply)) <= supply.capacity).all()
    assert np.array_equal(given + plan.left, demand.wanted)
    assert np.array_equal(plan.left > 0, plan.reason != Reason.NONE)
    assert plan.worth <= plan.bound
