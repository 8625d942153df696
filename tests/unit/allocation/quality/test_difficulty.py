"""Hard items are told from easy ones, as far as answers can."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from scipy.special import expit, logit
from scipy.stats import spearmanr

from allocation.quality.difficulty import difficulty
from allocation.quality.votes import Floats, Votes
from tests.unit.allocation.quality.crowds import any_votes

EVEN = np.array([0.5, 0.5])


def uneven_items(seed: int, spread: float, items: int = 300) -> tuple[Votes, Floats, Floats]:
    """Votes of nine workers on every item, their accuracies, and the items' difficulties."""
    rng = np.random.default_rng(seed)
    accuracy, hardness = rng.uniform(0.65, 0.95, 9), rng.normal(0.0, spread, items)
    right = rng.random((items, 9)) < expit(logit(accuracy) - hardness[:, None])
    truth = rng.integers(2, size=(items, 1))
    codes = np.divmod(np.arange(items * 9), 9)
    labels = np.where(right, truth, 1 - truth).ravel()
    votes = Votes.of(*codes, labels, n_items=items, n_workers=9, n_labels=2)
    return votes, accuracy, hardness


def test_harder_items_are_found_harder() -> None:
    votes, accuracy, hardness = uneven_items(1, spread=1.5)

    found = difficulty(votes, accuracy, EVEN)

    assert spearmanr(found, hardness)[0] > 0.6


def test_where_items_are_alike_they_are_found_alike() -> None:
    (alike, accuracy, _), (unlike, _, _) = uneven_items(2, 0.0), uneven_items(2, 1.5)

    even, uneven = difficulty(alike, accuracy, EVEN), difficulty(unlike, accuracy, EVEN)

    assert np.std(even) < np.std(uneven) / 4
    assert np.mean(even) == pytest.approx(np.mean(1.0 - accuracy), abs=0.02)


def test_it_is_the_share_of_wrong_answers_to_be_expected() -> None:
    votes, accuracy, hardness = uneven_items(3, spread=1.5, items=2_000)
    wrong = expit(hardness - logit(accuracy.mean()))

    found = difficulty(votes, accuracy, EVEN)

    for part in np.array_split(np.argsort(found), 4):
        assert found[part].mean() == pytest.approx(wrong[part].mean(), abs=0.06)


def test_a_weak_dissenter_makes_no_item_hard() -> None:
    votes, accuracy, _ = uneven_items(4, spread=1.0)
    item = 300
    weak, strong = int(accuracy.argmin()), int(accuracy.argmax())

    found = [
        difficulty(
            Votes.of(
                np.append(votes.items, np.full(9, item)),
                np.append(votes.workers, np.arange(9)),
                np.append(votes.labels, np.arange(9) == dissenter),
                n_items=301,
                n_workers=9,
                n_labels=2,
            ),
            accuracy,
            EVEN,
        )[item]
        for dissenter in (weak, strong)
    ]

    assert found[0] < found[1]


def test_what_was_foretold_is_believed_until_there_are_answers() -> None:
    # Given items of which it was foretold how hard they are, some of them without answers
    votes, accuracy, hardness = uneven_items(5, spread=1.5)
    average = logit(accuracy.mean())
    foretold = np.append(expit(hardness - average), [0.1, 0.4])
    silent = replace(votes, n_items=len(foretold))

    informed = difficulty(silent, accuracy, EVEN, foretold)
    blind = difficulty(silent, accuracy, EVEN)

    # Then those without stay near what was said, and the others come nearer to the truth
    assert informed[-2:] == pytest.approx([0.1, 0.4], abs=0.02)
    errors = [np.abs(found[:-2] - foretold[:-2]).mean() for found in (informed, blind)]
    assert errors[0] < errors[1] / 3


def test_answers_overrule_what_was_foretold_where_it_is_wrong() -> None:
    # Given nonsense that was foretold
    votes, accuracy, hardness = uneven_items(6, spread=1.5)
    nonsense = np.random.default_rng(7).uniform(0.05, 0.5, votes.n_items)

    found = difficulty(votes, accuracy, EVEN, nonsense)

    assert spearmanr(found, hardness)[0] > 0.5
    assert spearmanr(found, hardness)[0] > 1.5 * spearmanr(found, nonsense)[0]


@given(any_votes())
def test_it_is_a_probability_and_the_crowds_without_answers(votes: Votes) -> None:
    accuracy = np.full(votes.n_workers, 0.8)
    prior = np.full(votes.n_labels, 1.0 / votes.n_labels)

    found = difficulty(votes, accuracy, prior)

    assert ((found > 0.0) & (found < 1.0)).all()
    silent = found[votes.answers_per_item() == 0]
    np.testing.assert_allclose(silent, silent[:1].repeat(len(silent)))
