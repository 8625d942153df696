import numpy as np
import pytest

from allocation.quality.votes import Fit, Votes


def votes_of(items: list[int], workers: list[int], labels: list[int]) -> Votes:
    return Votes.of(items, workers, labels, n_items=3, n_workers=2, n_labels=2)


def test_counts_cover_items_and_labels_nobody_used() -> None:
    votes = votes_of([0, 0, 2], [0, 1, 1], [1, 1, 0])

    np.testing.assert_array_equal(votes.counts(), [[0, 2], [0, 0], [1, 0]])
    np.testing.assert_array_equal(votes.answers_per_item(), [2, 0, 1])
    np.testing.assert_array_equal(votes.answers_per_worker(), [1, 2])
    np.testing.assert_array_equal(votes.counts(np.array([2.0, 0.5])), [[0, 2.5], [0, 0], [0.5, 0]])
    assert len(votes) == 3


def test_answers_to_some_items_are_numbered_in_their_order() -> None:
    votes = votes_of([0, 2, 2, 1], [0, 0, 1, 1], [1, 1, 0, 0]).on(np.array([2, 0]))

    assert votes.items.tolist() == [1, 0, 0]
    assert votes.workers.tolist() == [0, 0, 1]
    assert votes.labels.tolist() == [1, 1, 0]
    assert (votes.n_items, votes.n_workers) == (2, 2)


@pytest.mark.parametrize(
    ("items", "workers", "labels", "named"),
    [
        ([3], [0], [0], "items"),
        ([-1], [0], [0], "items"),
        ([0], [2], [0], "workers"),
        ([0], [0], [2], "labels"),
        ([0], [0, 1], [0], "workers"),
        ([0], [0], [], "labels"),
    ],
)
def test_codes_out_of_range_or_of_other_length_are_refused(
    items: list[int], workers: list[int], labels: list[int], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        votes_of(items, workers, labels)


def test_codes_must_be_integers() -> None:
    with pytest.raises(ValueError, match="integer"):
        Votes(
            items=np.zeros(1),  # type: ignore[arg-type]
            workers=np.zeros(1, dtype=np.int32),
            labels=np.zeros(1, dtype=np.int16),
            n_items=1,
            n_workers=1,
            n_labels=1,
        )


def test_a_label_set_is_not_empty() -> None:
    with pytest.raises(ValueError, match="n_labels"):
        Votes.of([], [], [], n_items=0, n_workers=0, n_labels=0)


def test_ties_go_to_the_lowest_code() -> None:
    fit = Fit(
        posterior=np.array([[0.5, 0.5], [0.2, 0.8]]),
        log_confusion=np.zeros((0, 2, 2)),
        class_prior=np.array([0.5, 0.5]),
        iterations=0,
        log_likelihood=(),
    )

    np.testing.assert_array_equal(fit.labels(), [0, 1])
