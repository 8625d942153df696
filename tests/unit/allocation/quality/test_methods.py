import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings

from allocation.quality import dawid_skene, majority, one_coin, opinion_pool
from allocation.quality.methods import DEFAULT_METHOD, METHODS
from allocation.quality.votes import Fit, Votes
from tests.unit.allocation.quality.crowds import Crowd, any_votes, crowd, draw

Method = Callable[[Votes], Fit]


def test_tables_are_inferred_as_jobs_are_unless_asked_otherwise() -> None:
    assert METHODS[DEFAULT_METHOD] is opinion_pool.fit


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25, deadline=None)
@given(votes=any_votes())
def test_every_method_gives_distributions_for_every_table(method: str, votes: Votes) -> None:
    fit = METHODS[method](votes)

    np.testing.assert_allclose(fit.posterior.sum(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(np.exp(fit.log_confusion).sum(axis=2), 1.0, atol=1e-8)
    assert fit.class_prior.sum() == pytest.approx(1.0)
    assert fit.posterior.shape == (votes.n_items, votes.n_labels)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_most_labels_of_a_fair_crowd(method: str) -> None:
    given_crowd = crowd(20, answers_per_item=7)

    assert (METHODS[method](given_crowd.votes).labels() == given_crowd.truth).mean() > 0.88


class TestMajority:
    def test_shares_ties_and_silence(self) -> None:
        votes = Votes.of([0, 0, 0, 1, 1], [0, 1, 2, 0, 1], [1, 1, 0, 1, 0], **sizes(3, 3, 2))

        fit = majority.fit(votes)

        np.testing.assert_allclose(fit.posterior[0], [1 / 3, 2 / 3])
        np.testing.assert_allclose(fit.posterior[1], [0.5, 0.5])
        np.testing.assert_allclose(fit.posterior[2], [5 / 12, 7 / 12])
        np.testing.assert_array_equal(fit.labels(), [1, 0, 1])

    def test_weights_count_and_may_silence(self) -> None:
        votes = Votes.of([0, 0, 0], [0, 1, 2], [0, 0, 1], **sizes(1, 3, 2))

        np.testing.assert_allclose(
            majority.fit(votes, np.array([1.0, 1.0, 6.0])).posterior, [[0.25, 0.75]]
        )
        np.testing.assert_allclose(majority.fit(votes, np.zeros(3)).posterior, [[0.5, 0.5]])


class TestOneCoin:
    def test_accuracies_are_recovered(self) -> None:
        given_crowd = crowd(21, n_items=2_000, n_workers=8, answers_per_item=6)

        fit = one_coin.fit(given_crowd.votes)

        assert np.abs(np.exp(fit.log_confusion) - given_crowd.confusion).max() < 0.05

    def test_few_answers_a_worker_still_beat_the_majority(self) -> None:
        gains = []
        for seed in range(5):
            given_crowd = crowd(seed, n_items=150, n_workers=60, n_labels=4, accuracy=(0.25, 0.95))
            accuracies = [
                (method(given_crowd.votes).labels() == given_crowd.truth).mean()
                for method in (one_coin.fit, majority.fit)
            ]
            gains.append(accuracies[0] - accuracies[1])

        assert np.mean(gains) > 0.02

    @settings(max_examples=30, deadline=None)
    @given(votes=any_votes())
    def test_objective_never_falls(self, votes: Votes) -> None:
        history = one_coin.fit(votes, tolerance=0.0).log_likelihood

        gains = [after - before for before, after in itertools.pairwise(history)]
        assert min(gains, default=0.0) >= -1e-9

    def test_a_contrarian_counts_against_his_word(self) -> None:
        rng = np.random.default_rng(22)
        truth = rng.integers(2, size=200)
        answers = np.stack([truth, truth, truth, 1 - truth], axis=1)
        items, workers = np.indices(answers.shape)
        votes = Votes.of(items.ravel(), workers.ravel(), answers.ravel(), **sizes(200, 4, 2))

        fit = one_coin.fit(votes)

        assert (fit.labels() == truth).all()
        assert np.exp(fit.log_confusion[3, 0, 0]) < 0.1


class TestOpinionPool:
    def test_it_holds_where_either_of_its_members_collapses(self) -> None:
        # Given crowds whose answers are too few for confusions, or who mix up two labels
        sparse = [
            crowd(seed, n_items=120, n_workers=60, n_labels=5, answers_per_item=3)
            for seed in range(5)
        ]
        biased = [contrary_crowd(seed) for seed in range(5)]

        # When each method labels them
        def mean(method: Method, crowds: list[Crowd]) -> float:
            found = [(method(each.votes).labels() == each.truth).mean() for each in crowds]
            return float(np.mean(found))

        # Then the pool is close to the better member on both
        for crowds in (sparse, biased):
            members = [mean(majority.fit, crowds), mean(dawid_skene.fit, crowds)]
            assert mean(opinion_pool.fit, crowds) > max(members) - 0.03
        assert mean(majority.fit, biased) < mean(opinion_pool.fit, biased) - 0.05

    def test_a_vote_weighs_what_its_worker_is_worth(self) -> None:
        # Given a worker who agreed with the majority twice in three, and two who always did
        votes = Votes.of(
            [0, 0, 0, 1, 1, 1, 2, 2, 2],
            [0, 1, 2] * 3,
            [0, 0, 0, 1, 1, 1, 1, 0, 0],
            **sizes(3, 3, 2),
        )

        weight = opinion_pool.learn(votes).vote_weight

        # Then agreements count as often as they were, after four of the crowd's mean
        mean = 8 / 9
        np.testing.assert_allclose(weight, (np.array([2, 3, 3]) + 4 * mean) / 7)

    def test_belief_grows_with_every_vote_and_disagreement_shakes_it(self) -> None:
        # Given items with one, two and five votes for a label, and one with a vote against
        items, labels = [0, 1, 1, 2, 2, 2, 2, 2, 3, 3], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        workers = [0, 0, 1, 0, 1, 2, 3, 4, 0, 1]
        votes = Votes.of(items, workers, labels, **sizes(5, 5, 2))

        believed = np.exp(
            opinion_pool.believe(votes, opinion_pool.learn(votes), np.log([[0.5, 0.5]]))
        )[:, 0]

        # Then each is surer than the one before, none quite, and an even split tells nothing
        assert 0.6 < believed[0] < believed[1] < believed[2] < 0.99
        assert 0.4 < believed[3] < 0.6
        assert believed[4] == pytest.approx(0.5)

    def test_a_prior_counts_as_one_vote_and_alone_is_all_there_is(self) -> None:
        votes = Votes.of([0], [0], [1], **sizes(2, 1, 2))
        prior = np.log([[0.9, 0.1], [0.9, 0.1]])

        believed = np.exp(opinion_pool.believe(votes, opinion_pool.learn(votes, prior), prior))

        np.testing.assert_allclose(believed[1], [0.9, 0.1])
        assert 0.1 < believed[0, 1] < 0.9


def contrary_crowd(seed: int) -> Crowd:
    """Return a crowd in which most workers take every third label for the next one."""
    rng, k = np.random.default_rng(seed), 3
    truth = rng.integers(k, size=200)
    confused = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.45, 0.15, 0.4]])
    expert = np.full((k, k), 0.05) + 0.85 * np.eye(k)
    confusion = np.stack([confused] * 6 + [expert] * 3)
    items, workers = (each.ravel() for each in np.indices((200, 9)))
    labels = draw(rng, confusion[workers], truth[items])
    votes = Votes.of(items, workers, labels, **sizes(200, 9, k))
    return Crowd(votes=votes, truth=truth, confusion=confusion)


def test_votes_of_one_label_are_certain() -> None:
    votes = Votes.of([0, 0], [0, 1], [0, 0], **sizes(1, 2, 1))

    assert all(method(votes).posterior[0, 0] == pytest.approx(1.0) for method in METHODS.values())


def sizes(n_items: int, n_workers: int, n_labels: int) -> dict[str, int]:
    return {"n_items": n_items, "n_workers": n_workers, "n_labels": n_labels}
