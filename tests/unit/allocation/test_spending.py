"""Money that is spent to the answer and never beyond, whoever comes at whatever price."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from allocation.purse import Amounts
from allocation.selection import Seeker, affordable, pick, pick_together
from allocation.spending import Spending
from allocation.state import PartitionState
from allocation.terms import Rules, Terms
from cluster.domain.ids import WorkerId
from cluster.domain.jobs import Budget, Goal, JobState
from cluster.domain.work import AnswerColumns
from tests.unit.allocation.crowds import CrowdWorld
from tests.unit.allocation.test_campaign import ITEMS, answer, campaign, report, spec
from tests.unit.allocation.worlds import (
    JOB,
    ManualClock,
    job,
    partition,
    shard,
    snapshot,
    stores_with,
    worker,
)

CROWD = (0.95, 0.9, 0.9, 0.85, 0.85, 0.8, 0.9, 0.9)


def bought(*prices: float, cost_max: float | None = None, choosy: bool = True) -> Spending:
    answers = [answer(at, 0, f"w{at}", price=price) for at, price in enumerate(prices)]
    budget = Budget(cost_max=cost_max)
    return Spending(budget=budget, answers=AnswerColumns.of(answers), choosy=choosy)


def open_partition(cost_left: float) -> PartitionState:
    state = PartitionState(partition(4_000), Terms.of(JOB, job().spec), Rules())
    state.learn(replace(snapshot(4_000), cost_left=cost_left, cost_seen=0.0))
    return state


def left(answers: float, money: float) -> Amounts:
    return np.array([answers, money])


@pytest.mark.parametrize(
    ("spending", "money", "over"),
    [
        (bought(2.0, 1.0), inf, False),
        (bought(2.0, 1.0, cost_max=10.0), 7.0, False),
        (bought(2.0, 0.5, 0.0, cost_max=4.0), 1.5, False),
        (bought(2.0, 0.5, 0.0, cost_max=4.0, choosy=False), 1.5, True),
        (bought(2.0, 1.0, cost_max=4.0), 1.0, True),
        (bought(0.1, 0.1, 0.1, cost_max=0.4), 0.1, False),
        (bought(0.0, cost_max=0.0), 0.0, False),
    ],
)
def test_money_is_over_once_it_buys_no_answer_at_the_price_that_comes(
    spending: Spending, money: float, *, over: bool
) -> None:
    np.testing.assert_allclose(spending.left, left(inf, money))
    assert spending.is_over is over


def test_nobody_is_asked_at_a_price_that_is_not_there() -> None:
    # Given a partition with money for ten answers at one price, or for two at another
    given = open_partition(cost_left=1.0)
    cheap, dear, free = worker("cheap", price=0.1), worker("dear", price=0.4), worker("f", price=0)

    # Then a claim gets so many, and who takes nothing as many as there are
    assert affordable(given, 0.1) == len(pick(given, cheap, 100, None)) == 10
    assert affordable(given, 0.4) == len(pick(given, dear, 100, None)) == 2
    assert affordable(given, 1.1) == len(pick(given, worker("no", price=1.1), 100, None)) == 0
    assert len(pick(given, free, 100, None)) == 100

    # And of many who claim together, those the money is enough for
    crowd = [dear, cheap, dear, worker("other", price=0.2), free]
    seekers = [
        Seeker(at, replace(who, worker_id=WorkerId(f"{at}")), 1) for at, who in enumerate(crowd)
    ]
    assert [number for number, _ in pick_together(given, seekers)] == [0, 1, 2, 4]


def test_leases_count_as_money_until_they_end() -> None:
    # Given money for four answers, all of which somebody holds
    stores = stores_with(job())
    stores.partitions.add([partition(20)])
    service = shard(stores, clock := ManualClock())
    service.open(JOB, 0)
    service.publish(replace(snapshot(20), cost_left=2.0, cost_seen=0.0))
    held = service.claim(worker("slow", price=0.5), 10)
    assert len(held) == 4
    assert service.claim(worker("quick", price=0.5), 1) == ()
    assert len(service.claim(worker("free", price=0.0), 3)) == 3

    # When they have run out
    clock.time += 1_000.0

    # Then others may have them
    assert len(service.claim(worker("quick", price=1.0), 10)) == 2


def test_a_job_spends_its_money_and_no_more_though_dearer_workers_come_late() -> None:
    # Given a job on two shards, whose first workers are cheap and whose later ones cost tenfold
    terms = replace(job().spec, goal=Goal(accuracy=0.97), budget=Budget(cost_max=3.0))
    given = CrowdWorld(
        terms, 240, CROWD, np.random.default_rng(3), prices=[0.01] * 4 + [0.1, 0.3] * 2
    )
    given.predict(accuracy=0.6)
    stage, everybody = given.stage(), given.workers
    given.workers, given.accuracies = everybody[:4], CROWD[:4]

    def later(seconds: float) -> None:
        if given.acknowledged > 60:
            given.workers, given.accuracies = everybody, CROWD
        CrowdWorld.wait(given, seconds)

    stage._wait = later

    # When it runs until it stops
    assert stage.run(given.desk()) is JobState.EXPORTING

    # Then what is left would not have bought another answer at the price that came last
    paid = given.stores.answers.read(JOB, 0, 1_000_000).prices
    assert paid.max() > 0.09
    assert paid.sum() <= 3.0 + 1e-9
    assert 3.0 - paid.sum() < 0.3


def test_what_a_partition_may_not_buy_is_still_to_be_asked() -> None:
    # Given a partition whose share of the budget is spent, while the job's is not
    given = campaign(spec(budget=Budget(answers_max=10 * ITEMS)))
    given.refit()
    stopped = replace(report(wanted=0), open=3)

    # Then the job goes on: it is given what another has no use for
    assert given.step([stopped], time_left_s=None) == "ask"
    assert given.step([report(wanted=0)], time_left_s=None) == "finish"


def test_what_partitions_have_bought_is_counted_for_all_of_them_at_once() -> None:
    # Given answers about items of two partitions, and about items of neither
    prices = (0.5, 0.25, 1.0, 2.0, 4.0, 8.0)
    given = bought(*prices)
    second, first = partition(2, number=0, first=3), partition(2, number=7, first=1)

    # Then each has bought those about its own, whatever their order, and none where there are none
    found = given.on([second, first])
    assert {number: spent.tolist() for number, spent in found.items()} == {
        0: [2, 6.0],
        7: [2, 1.25],
    }
    assert [spent.tolist() for spent in bought().on([first]).values()] == [[0, 0.0]]
    assert given.on([]) == {}
