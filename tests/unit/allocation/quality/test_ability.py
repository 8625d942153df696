"""A new worker is judged by what is known of them, where that has told anything before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import check_grad
from scipy.special import expit

from allocation.quality import ability
from allocation.quality.ability import crowd_prior, learn
from allocation.quality.reliability import GRID, Evidence, accuracies
from allocation.quality.votes import Floats


def known_labels(rng: np.random.Generator, accuracy: Floats, answers: int) -> Evidence:
    """Evidence of workers whose labels are all known."""
    right = rng.binomial(answers, accuracy)[:, None].astype(np.float64)
    return Evidence(
        log_likelihood=right * np.log(GRID) + (answers - right) * np.log1p(-GRID),
        answers=np.full(len(accuracy), answers),
    )


def test_the_crowd_that_was_drawn_is_found() -> None:
    rng = np.random.default_rng(1)

    found = crowd_prior(known_labels(rng, rng.beta(16.0, 4.0, 2_000), answers=12))

    assert found.mean[0] == pytest.approx(0.8, abs=0.01)
    assert found.strength == pytest.approx(20.0, rel=0.2)


def test_features_that_tell_foretell_newcomers_with_fewer_answers_in_doubt() -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(400, 2)) * [1.0, 30.0] + [5.0, 0.0]
    accuracy = expit(1.0 + 0.8 * (features[:, 0] - 5.0))
    past = known_labels(rng, accuracy[:200], answers=10)

    found = learn(past, features[:200])
    foretold = found.prior(features[200:])

    assert found.informed
    error = np.abs(foretold.mean - accuracy[200:]).mean()
    assert error < np.abs(crowd_prior(past).mean - accuracy[200:]).mean() / 3
    assert foretold.strength > 2 * crowd_prior(past).strength


@pytest.mark.parametrize("seed", range(3))
def test_features_that_tell_nothing_leave_the_crowd(seed: int) -> None:
    rng = np.random.default_rng(seed)
    past = known_labels(rng, rng.beta(8.0, 2.0, 100), answers=10)

    found = learn(past, rng.normal(size=(100, 5)))

    assert not found.informed
    assert found.prior(np.ones((1, 5))).mean == pytest.approx(crowd_prior(past).mean)


def test_who_tells_nothing_is_an_average_worker() -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(300, 1))
    features[::3] = np.nan
    accuracy = expit(1.0 + np.nan_to_num(features[:, 0]))
    found = learn(known_labels(rng, accuracy, answers=10), features)

    unknown, average = found.prior(np.array([[np.nan], [np.nanmean(features)]])).mean

    assert found.informed
    assert unknown == pytest.approx(average)


def test_evidence_replaces_a_prediction() -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(size=(300, 1))
    accuracy = expit(1.0 + features[:, 0] + rng.normal(0.0, 0.5, 300))
    learned = learn(known_labels(rng, accuracy, answers=10), features)
    promising = learned.prior(np.full((2, 1), 2.0))

    newcomer = known_labels(rng, np.array([0.5, 0.5]), answers=400)

    assert promising.mean.min() > 0.85
    assert accuracies(newcomer, promising).mean.max() < 0.6


def test_without_workers_it_is_what_every_crowd_starts_from() -> None:
    found = crowd_prior(Evidence(log_likelihood=np.empty((0, 100)), answers=np.empty(0, np.int64)))

    assert found.mean[0] == pytest.approx(2 / 3, abs=0.05)


def test_the_slope_is_that_of_the_evidence() -> None:
    rng = np.random.default_rng(5)
    seen = known_labels(rng, rng.uniform(0.5, 0.9, 20), answers=7).log_likelihood
    standard = rng.normal(size=(20, 2))

    def evidence(place: Floats) -> float:
        return float(ability._evidence(seen, standard, place).sum())

    def slope(place: Floats) -> Floats:
        prior = ability._prior(standard, place)
        belief = np.exp(seen + prior.log_density())
        return ability._slope(belief / belief.sum(axis=1, keepdims=True), prior, standard)

    assert check_grad(evidence, slope, np.array([1.0, 2.0, 0.3, -0.2])) < 1e-3


@settings(max_examples=8)
@given(arrays(np.float64, (12, 2), elements=st.floats(-1e6, 1e6) | st.just(np.nan)))
def test_whatever_is_known_a_mean_is_a_probability(features: Floats) -> None:
    past = known_labels(np.random.default_rng(6), np.linspace(0.4, 0.9, 12), answers=3)

    found = learn(past, features).prior(features)

    assert ((found.mean > 0.0) & (found.mean < 1.0)).all()
    assert found.strength > 0.0
