"""Crowd and model fused: what each adds, and how far the model is believed."""

from dataclasses import replace

import numpy as np
import pytest

from allocation.quality.calibration import fit_sharpness, fit_temperature, scaled
from allocation.quality.fusion import Truth, Witnesses, fuse
from allocation.quality.votes import Floats, Votes

ITEMS, WORKERS, LABELS = 1_500, 30, 3


def drawn(rng: np.random.Generator, truth: np.ndarray, accuracy: float) -> np.ndarray:
    """Return labels that are right with a probability, else another one at random."""
    wrong = (truth + rng.integers(1, LABELS, len(truth))) % LABELS
    return np.where(rng.random(len(truth)) < accuracy, truth, wrong)


def crowd(
    rng: np.random.Generator, truth: np.ndarray, answers: int, accuracy: float = 0.75
) -> Votes:
    items = np.repeat(np.arange(ITEMS), answers)
    workers = np.concatenate([rng.choice(WORKERS, answers, replace=False) for _ in range(ITEMS)])
    labels = drawn(rng, truth[items], accuracy)
    return Votes.of(items, workers, labels, n_items=ITEMS, n_workers=WORKERS, n_labels=LABELS)


def nobody() -> Votes:
    return Votes.of([], [], [], n_items=ITEMS, n_workers=WORKERS, n_labels=LABELS)


def opinion(rng: np.random.Generator, truth: np.ndarray, accuracy: float, sure: float) -> Floats:
    """Return a model that is right with `accuracy` and says `sure` of whatever it says."""
    said = drawn(rng, truth, accuracy)
    model = np.full((ITEMS, LABELS), (1.0 - sure) / (LABELS - 1))
    model[np.arange(ITEMS), said] = sure
    return model


def accuracy(truth: np.ndarray, log_posterior: Floats) -> float:
    return float((log_posterior.argmax(axis=1) == truth).mean())


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def truth(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, LABELS, ITEMS)


def test_crowd_and_model_together_beat_each_alone(
    rng: np.random.Generator, truth: np.ndarray
) -> None:
    # Given two answers an item and a model that errs on its own
    votes, model = crowd(rng, truth, 2), opinion(rng, truth, 0.8, 0.8)

    # When they are fused
    fused = fuse(Witnesses(label_votes=votes, audit_votes=nobody(), model=model))
    alone = fuse(Witnesses(label_votes=votes, audit_votes=nobody(), model=None))

    # Then the labels are better than either's
    assert accuracy(truth, fused.log_label) > accuracy(truth, alone.log_label) + 0.03
    assert accuracy(truth, fused.log_label) > accuracy(truth, np.log(model)) + 0.03


@pytest.mark.parametrize("sure", [0.5, 0.8, 0.999])
def test_the_model_is_believed_as_far_as_the_crowd_bears_it_out(
    rng: np.random.Generator, truth: np.ndarray, sure: float
) -> None:
    # Given a model that is right four times in five, whatever it says of itself
    votes, model = crowd(rng, truth, 3), opinion(rng, truth, 0.8, sure)

    # When it is calibrated on the crowd's answers
    fused = fuse(Witnesses(label_votes=votes, audit_votes=nobody(), model=model))

    # Then its probabilities say four in five
    assert np.exp(fused.log_prior.max(axis=1)).mean() == pytest.approx(0.8, abs=0.05)


def test_audit_answers_take_no_part_in_the_label(
    rng: np.random.Generator, truth: np.ndarray
) -> None:
    # Given audit answers on items nobody else answered
    audits = crowd(rng, truth, 3)
    model = opinion(rng, truth, 0.8, 0.8)

    # When truth is inferred
    fused = fuse(Witnesses(label_votes=nobody(), audit_votes=audits, model=model))

    # Then the label is the model's, and only the full posterior heeds the audit
    np.testing.assert_allclose(fused.log_label, fused.log_prior, atol=1e-9)
    assert accuracy(truth, fused.log_full) > accuracy(truth, fused.log_label) + 0.05


def test_reviewers_are_taken_at_their_word(rng: np.random.Generator, truth: np.ndarray) -> None:
    # Given a bad model, and one reviewer's answer to a hundred items
    reviewed = np.arange(100)
    votes = Votes.of(
        reviewed, np.zeros(100), truth[:100], n_items=ITEMS, n_workers=WORKERS, n_labels=LABELS
    )
    model = opinion(rng, truth, 0.5, 0.9)

    # When they count as reference
    fused = fuse(Witnesses(label_votes=nobody(), audit_votes=votes, model=model, reviewed=True))

    # Then the reviewed items are theirs, and the model is believed as far as they bear it out
    assert accuracy(truth[:100], fused.log_full[:100]) > 0.99
    assert np.exp(fused.log_prior.max(axis=1)).mean() == pytest.approx(0.5, abs=0.12)


def test_nothing_known_gives_even_odds() -> None:
    fused: Truth = fuse(Witnesses(label_votes=nobody(), audit_votes=nobody(), model=None))

    assert np.exp(fused.log_label) == pytest.approx(np.full((ITEMS, LABELS), 1.0 / LABELS))


def test_posteriors_are_distributions(rng: np.random.Generator, truth: np.ndarray) -> None:
    witnesses = Witnesses(
        label_votes=crowd(rng, truth, 2),
        audit_votes=crowd(rng, truth, 1),
        model=opinion(rng, truth, 0.7, 0.7),
    )
    for reviewed in (False, True):
        fused = fuse(replace(witnesses, reviewed=reviewed))
        for name in ("log_prior", "log_label", "log_full", "log_crowd", "log_audit"):
            assert np.exp(getattr(fused, name)).sum(axis=1) == pytest.approx(np.ones(ITEMS)), name


def test_a_temperature_without_items_changes_nothing() -> None:
    empty = np.empty((0, LABELS))

    assert fit_temperature(empty, empty) == 1.0
    assert np.exp(scaled(np.array([[0.2, 0.3, 0.5]]), 1.0)) == pytest.approx(
        np.array([[0.2, 0.3, 0.5]])
    )


def test_what_is_believed_is_sharpened_no_further_than_is_sure(rng: np.random.Generator) -> None:
    # Given labels that are said to be right with .75 and are so with .9
    def checked(items: int) -> tuple[Floats, Floats]:
        said = np.tile([[0.75, 0.25]], (items, 1))
        right = rng.random(items) < 0.9
        found = np.where(right[:, None], [[0.99, 0.01]], [[0.01, 0.99]])
        return said, np.log(found)

    few, many = checked(6), checked(10_000)
    # Then few checks show nothing, and many nearly all there is
    assert fit_sharpness(*few) == 1.0 < fit_temperature(*few)
    assert fit_sharpness(*many) == pytest.approx(np.log(9) / np.log(3), abs=0.1)
    assert fit_sharpness(*many) < fit_temperature(*many)


def test_what_is_believed_too_much_is_blurred_at_once() -> None:
    said, found = np.tile([[0.9, 0.1]], (20, 1)), np.tile(np.log([[0.5, 0.5]]), (20, 1))
    found[:8] = np.log([[0.01, 0.99]])

    assert fit_sharpness(said, found) == fit_temperature(said, found) < 1.0
