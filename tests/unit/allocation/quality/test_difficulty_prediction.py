"""How many will get an item wrong is foretold as far as anything foretells it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import spearmanr

from allocation.quality import difficulty_prediction
from allocation.quality.difficulty_prediction import Outcomes, entropy, graded, learn, neighbourhood
from allocation.quality.votes import Floats, Votes


def asked(rng: np.random.Generator, chance: Floats, answers: int = 5) -> Outcomes:
    return Outcomes(
        wrong=rng.binomial(answers, chance).astype(np.float64),
        answers=np.full(len(chance), float(answers)),
    )


def unanswered(outcomes: Outcomes, rows: slice) -> Outcomes:
    wrong, answers = outcomes.wrong.copy(), outcomes.answers.copy()
    wrong[rows] = answers[rows] = 0.0
    return Outcomes(wrong=wrong, answers=answers)


def test_unanswered_items_are_foretold_as_often_wrong_as_they_turn_out() -> None:
    rng = np.random.default_rng(1)
    signals = rng.normal(size=(6_000, 2)) * [1.0, 50.0] + [0.0, 7.0]
    chance = expit(-1.5 + signals[:, 0])
    past = unanswered(asked(rng, chance), slice(3_000, None))

    found = learn(signals, past).probability(signals)[3_000:]

    assert spearmanr(found, chance[3_000:])[0] > 0.98
    for part in np.array_split(np.argsort(found), 5):
        assert found[part].mean() == pytest.approx(chance[3_000:][part].mean(), abs=0.03)


def test_signals_that_say_nothing_foretell_one_probability_for_all() -> None:
    rng = np.random.default_rng(2)
    signals, chance = rng.normal(size=(500, 30)), np.full(500, 0.2)

    found = learn(signals, asked(rng, chance, answers=3)).probability(signals)

    assert np.std(found) < 0.03
    assert found.mean() == pytest.approx(0.2, abs=0.04)


def test_before_any_answer_it_is_one_in_three() -> None:
    nothing = Outcomes(wrong=np.zeros(4), answers=np.zeros(4))

    assert learn(np.eye(4), nothing).probability(np.eye(4)) == pytest.approx(1 / 3)
    assert neighbourhood(np.eye(4), nothing) == pytest.approx(logit(1 / 3))


def test_answers_that_are_never_wrong_make_no_weight_infinite() -> None:
    sure = Outcomes(wrong=np.zeros(50), answers=np.full(50, 4.0))

    found = learn(np.linspace(-1.0, 1.0, 50)[:, None], sure).probability(np.array([[0.0], [9.0]]))

    assert ((found > 0.0) & (found < 0.05)).all()


def test_a_neighbourhood_is_told_by_its_items_and_not_by_the_item_itself() -> None:
    rng = np.random.default_rng(3)
    features = np.repeat([[1.0, 0.0], [0.0, 1.0]], 100, axis=0) + rng.normal(0, 0.05, (200, 2))
    outcomes = asked(rng, np.repeat([0.1, 0.5], 100))
    changed = Outcomes(wrong=outcomes.wrong.copy(), answers=outcomes.answers)
    changed.wrong[0] = 5.0 - changed.wrong[0]

    found, other = neighbourhood(features, outcomes), neighbourhood(features, changed)

    assert expit(found[:100]).mean() == pytest.approx(0.1, abs=0.05)
    assert expit(found[100:]).mean() == pytest.approx(0.5, abs=0.08)
    assert abs(other - found)[0] < abs(other - found)[1:100].min()


def test_chunks_and_lengths_of_features_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    features, outcomes = rng.normal(size=(300, 8)), asked(rng, np.full(300, 0.3))
    whole = neighbourhood(features, outcomes)

    monkeypatch.setattr(difficulty_prediction, "CHUNK_ITEMS", 7)

    longer = features * rng.uniform(1.0, 9.0, size=(300, 1))
    np.testing.assert_allclose(neighbourhood(longer, outcomes), whole, atol=1e-4)


def test_many_answered_items_are_compared_with_few_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    features = np.repeat([[1.0, 0.0], [0.0, 1.0]], 200, axis=0)
    outcomes = asked(rng, np.repeat([0.1, 0.5], 200))

    monkeypatch.setattr(difficulty_prediction, "NEIGHBOURS_MAX", 50)

    found = expit(neighbourhood(features, outcomes))
    assert found[:200].max() < 0.25 < found[200:].min()


def test_entropy_is_that_of_the_model() -> None:
    found = entropy(np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1 / 3] * 3]))

    np.testing.assert_allclose(found, [0.0, np.log(2), np.log(3)], atol=1e-12)


def test_outcomes_count_the_answers_against_the_consensus() -> None:
    votes = Votes.of(
        [0, 0, 0, 1, 1], [0, 1, 2, 0, 1], [1, 1, 0, 0, 1], n_items=3, n_workers=3, n_labels=2
    )

    found = Outcomes.of(votes, np.array([1, 1, 0]))

    assert found.wrong.tolist() == [1.0, 1.0, 0.0]
    assert found.answers.tolist() == [3.0, 2.0, 0.0]


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_grades_follow_probabilities(chances: list[float]) -> None:
    probability = np.sort(chances)

    found = graded(probability)

    assert all(one <= other for one, other in pairwise(found.tolist()))
    assert (found == difficulty_prediction.SIMPLE).tolist() == (
        probability < difficulty_prediction.SIMPLE_BELOW
    ).tolist()
    assert (found == difficulty_prediction.HARD).tolist() == (
        probability >= difficulty_prediction.HARD_FROM
    ).tolist()
