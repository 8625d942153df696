"""Workers are judged with the doubt that their answers leave."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.quality import dawid_skene, majority
from allocation.quality.ability import crowd_prior
from allocation.quality.reliability import (
    Accuracies,
    Beta,
    accuracies,
    confusions,
    evidence,
)
from allocation.quality.votes import Fit, Votes
from tests.unit.allocation.quality.crowds import any_votes, crowd


def fitted(votes: Votes) -> Fit:
    return dawid_skene.fit(votes, prior="pooled")


def judged(votes: Votes) -> Accuracies:
    found = evidence(votes, fitted(votes))
    return accuracies(found, crowd_prior(found))


@pytest.mark.parametrize(("n_labels", "answers_per_item"), [(2, 5), (3, 3), (4, 5)])
def test_intervals_hold_nine_workers_in_ten(n_labels: int, answers_per_item: int) -> None:
    """Of 95 %; the rest is lost to labels the model is too sure of."""
    held, width = [], []
    for seed in range(4):
        crowd_ = crowd(
            seed, n_items=300, n_workers=30, n_labels=n_labels, answers_per_item=answers_per_item
        )
        truth = crowd_.confusion[:, 0, 0]

        found = judged(crowd_.votes)

        held.append((found.lower <= truth) & (truth <= found.upper))
        width.append(found.upper - found.lower)

    assert np.mean(held) >= 0.87
    assert np.mean(width) < 0.42


def test_cells_of_a_confusion_lie_in_their_intervals() -> None:
    held = []
    for seed in range(10):
        crowd_ = crowd(seed, n_items=400, n_workers=30, n_labels=3, answers_per_item=5)
        counts = dawid_skene.expected_counts(crowd_.votes, fitted(crowd_.votes).posterior)

        found = confusions(counts)

        held.append((found.lower <= crowd_.confusion) & (crowd_.confusion <= found.upper))

    assert np.mean(held) >= 0.9


def test_who_has_not_answered_is_taken_for_one_of_the_crowd() -> None:
    votes = replace(crowd(1, n_workers=20).votes, n_workers=21)
    found = evidence(votes, fitted(votes))
    prior = crowd_prior(found)

    newcomer = accuracies(found, prior)

    assert newcomer.answers[20] == 0
    assert newcomer.mean[20] == pytest.approx(prior.mean[0], abs=0.01)
    assert newcomer.upper[20] - newcomer.lower[20] > 2 * np.median(
        (newcomer.upper - newcomer.lower)[:20]
    )


def test_a_crowd_of_equals_is_told_from_one_of_unequals() -> None:
    alike, unlike = (
        crowd(2, n_items=600, n_workers=30, n_labels=2, accuracy=span).votes
        for span in ((0.75, 0.76), (0.5, 1.0))
    )

    strengths = [crowd_prior(evidence(votes, fitted(votes))).strength for votes in (alike, unlike)]

    assert strengths[0] > 3 * strengths[1]


def test_a_class_never_met_has_the_row_of_the_crowd_and_more_doubt() -> None:
    counts = np.array([[[30.0, 10.0], [0.0, 0.0]], [[35.0, 5.0], [8.0, 32.0]]])

    found = confusions(counts)
    width = found.upper - found.lower

    pooled = np.exp(dawid_skene.pooled_confusion(counts))
    np.testing.assert_allclose(found.mean[0, 1], pooled[1])
    assert width[0, 1, 1] > 2 * width[1, 1, 1]


def test_a_prior_of_ones_own_is_replaced_by_evidence() -> None:
    votes = crowd(3, n_items=400, n_workers=10, n_labels=2, answers_per_item=5).votes
    found = evidence(votes, fitted(votes))
    unknown = replace(found, log_likelihood=np.zeros_like(found.log_likelihood))
    priors = [Beta(mean=np.full(10, mean), strength=10.0) for mean in (0.55, 0.95)]

    apart, before = (
        accuracies(each, priors[1]).mean - accuracies(each, priors[0]).mean
        for each in (found, unknown)
    )

    np.testing.assert_allclose(before, 0.4, atol=0.02)
    assert apart.max() < 0.1


@settings(max_examples=10)
@given(any_votes(), st.floats(0.05, 0.95), st.floats(1.0, 50.0))
def test_whatever_the_votes_a_mean_lies_in_its_interval(
    votes: Votes, mean: float, strength: float
) -> None:
    found = evidence(votes, majority.fit(votes))
    prior = Beta(mean=np.array([mean]), strength=strength)

    narrow, wide = accuracies(found, prior, level=0.9), accuracies(found, prior, level=0.99)

    assert (wide.lower >= 0.0).all()
    assert (wide.lower <= narrow.lower).all()
    assert (narrow.lower <= narrow.upper).all()
    assert (narrow.upper <= wide.upper).all()
    assert (wide.upper <= 1.0).all()
    assert ((wide.lower <= wide.mean) & (wide.mean <= wide.upper)).all()


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0])
def test_a_level_is_a_probability(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        confusions(np.ones((1, 2, 2)), level)
