"""A worker nobody has seen is expected to be as good as what is known of them foretells."""

import numpy as np
import pytest
from scipy.special import expit

from allocation import newcomers
from allocation.newcomers import Known, Newcomers
from allocation.quality.fusion import Truth, Witnesses, fuse
from allocation.quality.votes import Floats, Votes
from cluster.domain.ids import WorkerId

ITEMS, SEEN, NEW, LABELS = 400, 60, 40, 2


def crowd(rng: np.random.Generator, accuracy: Floats, answers: int = 8) -> tuple[Votes, Truth]:
    """Return answers of the workers who are seen, and what follows from them."""
    workers = rng.random((ITEMS, SEEN)).argsort(axis=1)[:, :answers].ravel()
    items = np.repeat(np.arange(ITEMS), answers)
    wrong = rng.random(len(items)) > accuracy[workers]
    votes = Votes.of(
        items, workers, (items + wrong) % 2, n_items=ITEMS, n_workers=SEEN, n_labels=LABELS
    )
    nothing = votes.of([], [], [], n_items=ITEMS, n_workers=SEEN, n_labels=LABELS)
    return votes, fuse(Witnesses(label_votes=votes, audit_votes=nothing, model=None))


def named(first: int, last: int) -> tuple[WorkerId, ...]:
    return tuple(WorkerId(f"w{number}") for number in range(first, last))


def accuracy_of(log_confusion: Floats) -> Floats:
    """Return how often workers are right where labels are even, (workers,)."""
    return np.asarray(np.exp(np.diagonal(log_confusion, axis1=1, axis2=2)).mean(axis=1))


def rated(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return accuracies of all workers and a rating that tells of them, with noise."""
    lean = rng.normal(1.2, 1.0, SEEN + NEW)
    return expit(lean), (lean + rng.normal(0.0, 0.5, SEEN + NEW))[:, None]


def test_a_newcomer_is_expected_to_be_as_good_as_their_rating_says() -> None:
    # Given a crowd whose ratings tell, and newcomers with ratings
    rng = np.random.default_rng(1)
    accuracy, rating = rated(rng)
    votes, truth = crowd(rng, accuracy)
    given = Newcomers(LABELS)
    given.know(Known(worker_ids=named(0, SEEN + NEW), features=rating))

    # When it has been learned from
    given.learn(votes, truth, named(0, SEEN))
    worker_ids, log_confusion = given.told(named(0, SEEN), truth, 1.0)

    # Then newcomers come after those seen, and are nearer to what they are than the average is
    assert worker_ids == named(0, SEEN + NEW)
    np.testing.assert_allclose(np.exp(log_confusion).sum(axis=2), 1.0)
    errors = np.abs(accuracy_of(log_confusion) - accuracy)[SEEN:]
    average = np.abs(accuracy_of(truth.log_pooled[None]) - accuracy)[SEEN:]
    assert errors.mean() < 0.75 * average.mean()


def test_answers_replace_what_was_known() -> None:
    # Given a worker who is rated worse than they are, before and after their answers
    shifts = []
    for answers in (0, 1_000):
        rng = np.random.default_rng(1)
        accuracy, rating = rated(rng)
        rating[0] = -1.0
        votes, truth = crowd(rng, accuracy)
        mine = np.flatnonzero(votes.workers == 0)
        kept = np.setdiff1d(np.arange(len(votes)), mine[answers:])
        some = Votes.of(
            votes.items[kept],
            votes.workers[kept],
            votes.labels[kept],
            n_items=ITEMS,
            n_workers=SEEN,
            n_labels=LABELS,
        )
        given = Newcomers(LABELS)
        given.know(Known(worker_ids=named(0, SEEN), features=rating[:SEEN]))
        given.learn(some, truth, named(0, SEEN))
        _, log_confusion = given.told(named(0, SEEN), truth, 1.0)
        shifts.append((accuracy_of(log_confusion) - accuracy_of(truth.log_confusion))[0])

    # Then the rating counts for much less after them
    assert shifts[0] < shifts[1] / 3 < 0.0


def test_ratings_that_tell_nothing_change_nothing_and_take_no_room() -> None:
    rng = np.random.default_rng(3)
    accuracy, _ = rated(rng)
    votes, truth = crowd(rng, accuracy)
    given = Newcomers(LABELS)
    given.know(Known(worker_ids=named(0, SEEN + NEW), features=rng.normal(size=(SEEN + NEW, 3))))

    given.learn(votes, truth, named(0, SEEN))
    worker_ids, log_confusion = given.told(named(0, SEEN), truth, 1.0)

    assert worker_ids == named(0, SEEN)
    np.testing.assert_allclose(log_confusion, truth.log_confusion, atol=1e-9)


def test_a_snapshot_has_room_for_some_newcomers_the_first_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    accuracy, rating = rated(rng)
    votes, truth = crowd(rng, accuracy)
    monkeypatch.setattr(newcomers, "NEWCOMER_CELLS_MAX", 5 * LABELS**2)
    given = Newcomers(LABELS)
    given.know(Known(worker_ids=named(0, SEEN + NEW), features=rating))

    given.learn(votes, truth, named(0, SEEN))

    assert given.told(named(0, SEEN), truth, 1.0)[0] == named(0, SEEN + 5)


def test_it_is_learned_again_only_once_answers_have_grown() -> None:
    # Given what was learned of a crowd whose ratings tell
    rng = np.random.default_rng(1)
    accuracy, rating = rated(rng)
    votes, truth = crowd(rng, accuracy)
    given = Newcomers(LABELS)
    given.know(Known(worker_ids=named(0, SEEN + NEW), features=rating))
    given.learn(votes, truth, named(0, SEEN))
    before = given.told((), truth, 1.0)[1]

    # When as many answers say the contrary, nothing changes; when it is asked anew, all does
    turned = votes.of(
        votes.items,
        votes.workers,
        rng.permutation(votes.labels),
        n_items=ITEMS,
        n_workers=SEEN,
        n_labels=LABELS,
    )
    given.learn(turned, truth, named(0, SEEN))
    np.testing.assert_array_equal(given.told((), truth, 1.0)[1], before)
    given.know(Known(worker_ids=named(0, SEEN + NEW), features=rating))
    given.learn(turned, truth, named(0, SEEN))
    assert len(given.told((), truth, 1.0)[0]) == 0


@pytest.mark.parametrize("votes_too", [True, False])
def test_where_nothing_is_known_or_nobody_has_answered_nobody_is_shifted(votes_too: bool) -> None:
    rng = np.random.default_rng(4)
    votes, truth = crowd(rng, np.full(SEEN, 0.8))
    nothing = votes.of([], [], [], n_items=ITEMS, n_workers=SEEN, n_labels=LABELS)
    given = Newcomers(LABELS)
    if not votes_too:
        given.know(Known(worker_ids=named(0, SEEN), features=np.ones((SEEN, 1))))

    given.learn(votes if votes_too else nothing, truth, named(0, SEEN))

    np.testing.assert_allclose(
        given.told(named(0, SEEN), truth, 1.0)[1], truth.log_confusion, atol=1e-9
    )
