"""When another training is worth its cost."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from allocation.quality.fusion import Truth, Witnesses, fuse
from allocation.quality.votes import Votes
from allocation.retraining import (
    Past,
    Rows,
    Told,
    Trained,
    answer_nats,
    loss_at,
    saved_answers,
    worth_it,
)
from cluster.domain.ids import WorkerId
from cluster.domain.work import AnswerColumns

LINE = (Trained(rows=100, log_loss=0.62), Trained(rows=200, log_loss=0.58))
"""A line of two classes whose loss falls."""


def rows(learnt: int, known: int, possible: int = 500) -> Rows:
    return Rows(learnt=learnt, known=known, possible=possible)


def truth_of(accuracy: float, seed: int = 0) -> Truth:
    """Return what is inferred of 300 items, two classes, with three answers each."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 300)
    items, workers = np.repeat(np.arange(300), 3), np.tile(np.arange(3), 300)
    said = np.where(rng.random(900) < accuracy, labels[items], 1 - labels[items])
    votes = Votes.of(items, workers, said, n_items=300, n_workers=3, n_labels=2)
    nothing = Votes.of([], [], [], n_items=300, n_workers=3, n_labels=2)
    return fuse(Witnesses(label_votes=votes, audit_votes=nothing, model=None))


def answers_at(times: npt.NDArray[np.float64], price: float = 0.01) -> AnswerColumns:
    """Return answers of one worker at these times, in seconds, each for one price."""
    count = len(times)
    return AnswerColumns(
        seq=np.arange(1, count + 1),
        positions=np.arange(count),
        workers=np.zeros(count, np.int32),
        labels=np.zeros(count, np.int16),
        audit=np.zeros(count, np.bool_),
        prices=np.full(count, price),
        answered_at=times,
        durations_s=np.ones(count),
        worker_ids=(WorkerId("w"),),
    )


def test_the_loss_is_expected_to_fall_with_rows_and_never_to_rise() -> None:
    losses = [loss_at(LINE, rows, 2) for rows in (10, 100, 200, 400, 1_000, 10_000)]

    assert all(before > after for before, after in pairwise(losses))
    assert losses[0] < np.log(2)
    assert losses[2] == pytest.approx(0.58, abs=0.03)


def test_a_line_whose_loss_falls_no_more_is_expected_to_gain_less() -> None:
    falling = (Trained(rows=500, log_loss=0.6), Trained(rows=2_000, log_loss=0.4))
    flat = (Trained(rows=500, log_loss=0.41), Trained(rows=2_000, log_loss=0.4))
    truth = truth_of(0.8)

    gains = [saved_answers(line, 4_000, 1_000, truth) for line in (falling, flat)]

    assert gains[0] > 2.0 * gains[1] > 0.0


def test_an_answer_of_a_better_crowd_tells_more() -> None:
    even = np.array([0.5, 0.5])

    def told(accuracy: float) -> float:
        confusion = np.array([[accuracy, 1.0 - accuracy], [1.0 - accuracy, accuracy]])
        return answer_nats(np.log(confusion), even)

    assert told(0.5) == pytest.approx(0.0, abs=1e-12)
    assert 0.0 < told(0.7) < told(0.9) < np.log(2)
    assert told(1.0 - 1e-9) == pytest.approx(np.log(2), abs=1e-6)


def test_a_training_is_worth_it_while_there_is_much_left_to_ask() -> None:
    past, truth = Past(trained=LINE, training_s=10.0), truth_of(0.8)
    answers = answers_at(np.linspace(0.0, 100.0, 101))  # one a second: a wait costs ten

    def worth(doubtful: int, trainable: int = 400) -> bool:
        return worth_it(past, rows(200, trainable), 6, doubtful, Told(answers, truth))

    assert worth(5_000)
    assert not worth(5)
    assert not worth(5_000, trainable=230)


def test_a_wait_costs_what_the_crowd_would_have_given_and_machines_what_answers_they_buy() -> None:
    answers = answers_at(np.linspace(0.0, 100.0, 201), price=0.02)

    waited = Past(training_s=30.0).cost_answers(answers)
    paid = Past(training_s=30.0, price_per_hour=1.2).cost_answers(answers)

    assert waited == pytest.approx(30.0 * 201 / 100.0)
    assert paid - waited == pytest.approx(30.0 / 3_600.0 * 1.2 / 0.02)
    assert Past(training_s=30.0).cost_answers(answers_at(np.empty(0))) == 0.0
    unpaid = answers_at(np.linspace(0.0, 100.0, 201), price=0.0)
    assert Past(training_s=30.0, price_per_hour=1.2).cost_answers(unpaid) == pytest.approx(waited)


def test_where_nothing_is_known_of_the_loss_a_fixed_growth_decides() -> None:
    truth, answers = truth_of(0.8), answers_at(np.linspace(0.0, 10.0, 11))

    told = Told(answers, truth)
    found = [worth_it(Past(), rows(100, known), 6, 500, told) for known in (149, 150)]

    assert found == [False, True]
    assert not worth_it(Past(), rows(0, 0), 6, 500, told)
    assert worth_it(Past(), rows(0, 1), 6, 500, told)
    assert not worth_it(Past(), rows(0, 1), 0, 500, told)


def test_rows_of_earlier_jobs_count_as_learnt() -> None:
    # Given a line that learnt from a thousand rows before this job began
    line = (Trained(rows=1_000, log_loss=0.6),)
    past = Past(trained=line, earlier_rows=1_000, training_s=1.0)
    truth, answers = truth_of(0.8), answers_at(np.linspace(0.0, 1_000.0, 101))

    # Then the job's first answers are no reason to train again, as many more are
    told = Told(answers, truth)
    found = [worth_it(past, rows(0, known), 6, 4_000, told) for known in (1, 100, 199, 400)]

    assert found == [False, False, False, True]


def test_a_slower_training_is_worth_it_more_seldom() -> None:
    truth, answers = truth_of(0.8), answers_at(np.linspace(0.0, 100.0, 101))
    quick = Past(trained=LINE, training_s=10.0)

    slow, told = replace(quick, training_s=3_600.0), Told(answers, truth)
    assert worth_it(quick, rows(200, 400), 6, 3_000, told)
    assert not worth_it(slow, rows(200, 400), 6, 3_000, told)


def test_few_trainings_are_spread_over_the_rows_still_to_come() -> None:
    # Given a job that has learnt from 100 of its items, and may learn from 6,400 in the end
    past, truth = Past(trained=LINE[:1], training_s=1.0), truth_of(0.8)
    told = Told(answers_at(np.linspace(0.0, 1_000.0, 101)), truth)

    def first_worth(left: int) -> int:
        known = range(100, 6_500, 10)
        return next(n for n in known if worth_it(past, rows(100, n, 6_400), left, 9_000, told))

    # Then with six trainings left each learns from twice as many, with three from four times
    assert [first_worth(left) for left in (6, 3, 1)] == [200, 400, 6_400]
