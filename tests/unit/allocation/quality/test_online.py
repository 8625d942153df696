"""One answer at a time ends where all at once do."""

import numpy as np
from hypothesis import given, settings

from allocation.quality import dawid_skene
from allocation.quality.online import OnlineTruth
from allocation.quality.votes import Floats, Votes
from tests.unit.allocation.quality.crowds import any_votes, crowd


def pseudo_counts(k: int) -> Floats:
    return np.full((k, k), 1.0) + 3.0 * np.eye(k)


def taken(votes: Votes, batch: int) -> OnlineTruth:
    truth = OnlineTruth(
        n_items=votes.n_items,
        n_workers=votes.n_workers,
        pseudo_counts=pseudo_counts(votes.n_labels),
    )
    for first in range(0, len(votes), batch):
        part = slice(first, first + batch)
        truth.take(votes.items[part], votes.workers[part], votes.labels[part])
    return truth


def test_the_first_answer_is_weighed_by_bayes() -> None:
    votes = Votes.of([0], [0], [1], n_items=2, n_workers=1, n_labels=2)

    truth = taken(votes, 1)

    np.testing.assert_allclose(truth.posterior, [[0.2, 0.8], [0.5, 0.5]])
    np.testing.assert_allclose(
        np.exp(truth.log_confusion()[0]), [[4 / 5.2, 1.2 / 5.2], [1 / 5.8, 4.8 / 5.8]]
    )
    np.testing.assert_allclose(truth.class_prior(), [1.2 / 3, 1.8 / 3])


@settings(max_examples=60, deadline=None)
@given(votes=any_votes())
def test_what_is_counted_is_what_is_believed(votes: Votes) -> None:
    """However the beliefs moved, the counts end as those of the last ones."""
    truth = taken(votes, 3)

    counts = dawid_skene.expected_counts(votes, truth.posterior) + pseudo_counts(votes.n_labels)
    expected = np.log(counts / counts.sum(axis=2, keepdims=True))
    np.testing.assert_allclose(truth.log_confusion(), expected, atol=1e-9)
    np.testing.assert_allclose(truth.posterior.sum(axis=1), 1.0)
    known = votes.answers_per_item() > 0
    mass = 1.0 + truth.posterior[known].sum(axis=0)
    np.testing.assert_allclose(truth.class_prior(), mass / mass.sum())


def test_batches_do_not_matter_and_the_end_is_near_the_fit_of_all() -> None:
    given_crowd = crowd(5, n_items=2_000, n_workers=40)
    votes = given_crowd.votes
    order = np.random.default_rng(5).permutation(len(votes))
    shuffled = Votes.of(
        votes.items[order],
        votes.workers[order],
        votes.labels[order],
        n_items=votes.n_items,
        n_workers=votes.n_workers,
        n_labels=votes.n_labels,
    )

    one_by_one, at_once = taken(shuffled, 1), taken(shuffled, len(votes))

    np.testing.assert_array_equal(one_by_one.posterior, at_once.posterior)
    batch = dawid_skene.fit(votes, prior="diagonal").labels()
    agreement = (at_once.posterior.argmax(axis=1) == batch).mean()
    assert agreement > 0.98


def test_a_thousand_answers_to_one_item_stay_finite() -> None:
    workers = np.arange(1_000)
    votes = Votes.of(
        np.zeros(1_000), workers, workers % 10 == 0, n_items=1, n_workers=1_000, n_labels=2
    )

    truth = taken(votes, 1_000)

    np.testing.assert_allclose(truth.posterior, [[1.0, 0.0]], atol=1e-12)


def test_workers_may_come_later() -> None:
    truth = OnlineTruth(n_items=1, n_workers=0, pseudo_counts=pseudo_counts(2))

    truth.add_workers(2)
    truth.take(np.array([0]), np.array([1]), np.array([1]))

    assert truth.posterior[0, 1] > 0.5
    assert len(truth) == 1
