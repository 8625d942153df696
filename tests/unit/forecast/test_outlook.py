"""Forecasts from pilots whose crowds are simulated."""

from dataclasses import replace

import numpy as np
import pytest

from cluster.domain.jobs import CrowdTerms
from cluster.domain.labels import Label, LabelSet
from serve_apps.backtest.recording import Recording
from serve_apps.backtest.run import Prepared
from serve_apps.forecast.outlook import Interval, Outlook, Plan, forecast
from serve_apps.forecast.pilot import Pilot

ITEMS, WORKERS, ANSWERS = 48, 12, 4
CROWD = CrowdTerms(answers_per_item_max=5)


def pilot(accuracy: float, seed: int = 0, hard: int = 0) -> Pilot:
    """Return a pilot of workers alike; they answer the first `hard` items by tossing a coin."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(2, size=ITEMS)
    items = np.repeat(np.arange(ITEMS), ANSWERS)
    workers = np.concatenate([rng.permutation(WORKERS)[:ANSWERS] for _ in range(ITEMS)])
    right = rng.random(len(items)) < np.where(items < hard, 0.5, accuracy)
    recording = Recording(
        name="pilot",
        label_set=LabelSet((Label("no"), Label("yes"))),
        item_ids=tuple(f"item {number}" for number in range(ITEMS)),
        worker_ids=tuple(f"worker {number}" for number in range(WORKERS)),
        items=items,
        workers=workers,
        labels=np.where(right, truth[items], 1 - truth[items]),
        truth=np.full(ITEMS, -1),
        contents=None,
        modality="text",
    )
    return Pilot.of(Prepared(recording=recording, learner=None))


def outlook(given: Pilot, goal: float, plan: Plan) -> Outlook:
    (found,) = forecast(given, plan, [goal], crowd=CROWD, replicates=5, seed=1)
    return found


def test_a_better_crowd_is_forecast_to_need_fewer_answers() -> None:
    # Given the same job, and two pilots
    plan = Plan(items=1_000)
    # When both are forecast
    good, bad = outlook(pilot(0.95), 0.85, plan), outlook(pilot(0.7), 0.85, plan)
    # Then the better crowd gets there in all replicates, and for less
    assert good.reached_share == 1.0
    assert good.answers_per_item.middle is not None
    assert good.answers_per_item.middle < (bad.answers_per_item.middle or np.inf)


def test_cost_and_time_follow_from_the_answers() -> None:
    # Given prices, and work shared by ten
    plan = Plan(items=10_000, price=0.5, answer_s=36.0, workers=10.0)
    # When a job is forecast
    found = outlook(pilot(0.95), 0.8, plan)
    # Then audits count, and everything is on the scale of the whole job
    assert found.answers_per_item.middle is not None
    assert found.answers.middle is not None
    assert found.answers.middle == pytest.approx(
        10_000 * found.answers_per_item.middle + CROWD.audit_items_max * CROWD.audit_answers_max
    )
    assert found.cost.middle == pytest.approx(0.5 * found.answers.middle)
    assert found.hours.middle == pytest.approx(found.answers.middle * 36.0 / 10.0 / 3600.0)


def test_a_goal_out_of_reach_is_said_to_be_so() -> None:
    # Given workers who guess
    found = outlook(pilot(0.55), 0.97, Plan(items=1_000))
    # Then no replicate gets there
    assert found.reached_share == 0.0
    assert found.answers_per_item == found.cost == Interval(low=None, middle=None, high=None)


def test_the_same_seed_gives_the_same_forecast() -> None:
    given = pilot(0.85)
    assert outlook(given, 0.8, Plan(items=9)) == outlook(given, 0.8, Plan(items=9))


def test_a_replicate_keeps_hard_items_hard() -> None:
    # Given a pilot in which half of the items were answered by coins, and one of good answers only
    mixed, easy = pilot(0.95, hard=ITEMS // 2), pilot(0.95)
    # When crowds are drawn from both, and every worker answers every item
    disputed = {name: _disputed(given) for name, given in (("mixed", mixed), ("easy", easy))}
    # Then the one has many items its workers dispute, and the other next to none
    assert disputed["mixed"] > 0.15
    assert disputed["easy"] < 0.05


def _disputed(given: Pilot) -> float:
    """Return the share of items, over replicates, on which over a quarter of workers disagree."""
    shares = []
    for seed in range(8):
        prepared, crowd = given.replicate(np.random.default_rng(seed))
        answers = [[crowd.take(worker, item) for worker in range(WORKERS)] for item in range(ITEMS)]
        shares.append(np.mean(answers, axis=1))
        assert len(prepared.recording.truth) == ITEMS
        assert all(len(crowd.items_of(worker)) == 0 for worker in range(WORKERS))
    share = np.concatenate(shares)
    return float(np.mean((share > 0.25) & (share < 0.75)))


def test_known_labels_of_a_pilot_are_believed() -> None:
    given = pilot(0.6)
    known = given.prepared.recording.truth.copy()
    known[:10] = 1
    recording = replace(given.prepared.recording, truth=known)
    told = Pilot.of(Prepared(recording=recording, learner=None))
    assert (told.truth[:10, 1] == 1.0).all()
    np.testing.assert_array_equal(told.truth[10:], given.truth[10:])


def test_replicates_that_never_arrive_leave_an_interval_open() -> None:
    found = Interval.of(np.array([1.0, 2.0, 3.0, 4.0, np.inf]))
    assert found == Interval(low=1.0, middle=3.0, high=None)
