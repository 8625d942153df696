"""The simulated crowd answers as well, and as badly, as it is meant to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from examples.demo.crowd import (
    Deck,
    Persona,
    WorkerTraits,
    ability_for,
    answers,
    confused_pairs,
    rng_for,
    staff,
)

ITEMS = 6_000
LABELS = 6


@pytest.fixture(scope="module")
def deck() -> Deck:
    rng = np.random.default_rng(3)
    truth = rng.integers(LABELS, size=ITEMS)
    lookalike = rng.random((ITEMS, LABELS)) * 0.1
    lookalike[truth == 1, 4] += 5.0
    lookalike[np.arange(ITEMS), truth] = 0.0
    return Deck(
        label_names=tuple("abcdef"),
        keys=tuple(str(number) for number in range(ITEMS)),
        truth=truth,
        ease=rng.normal(0.0, 1.2, ITEMS),
        lookalike=lookalike / lookalike.sum(axis=1, keepdims=True),
    )


def traits(persona: Persona, accuracy: float) -> WorkerTraits:
    return WorkerTraits(name="w", persona=persona, accuracy=accuracy, think_s=0.0, price=0.0)


@pytest.mark.parametrize("accuracy", [0.95, 0.85, 0.70])
def test_an_earnest_worker_is_right_at_their_rate(deck: Deck, accuracy: float) -> None:
    given = answers(traits(Persona.AVERAGE, accuracy), deck, rng_for(0, 1, 0))
    assert (given == deck.truth).mean() == pytest.approx(accuracy, abs=0.015)


def test_hard_items_are_answered_worse_and_mistaken_for_what_they_look_like(deck: Deck) -> None:
    given = answers(traits(Persona.AVERAGE, 0.8), deck, rng_for(0, 2, 0))
    right = given == deck.truth
    assert right[deck.ease < -1].mean() < right[deck.ease > 1].mean() - 0.2
    mistaken = given[(deck.truth == 1) & ~right]
    assert (mistaken == 4).mean() > 0.8


def test_a_biased_worker_is_sound_but_for_the_labels_they_confuse(deck: Deck) -> None:
    given = answers(traits(Persona.BIASED, 0.9), deck, rng_for(0, 3, 0))
    confused = {label for pair in confused_pairs(deck, 2) for label in pair}
    mine = np.isin(deck.truth, sorted(confused))
    assert (1, 4) in confused_pairs(deck, 2)
    assert (given == deck.truth)[mine].mean() < 0.5
    assert (given == deck.truth)[~mine].mean() > 0.85


def test_spammers_know_nothing(deck: Deck) -> None:
    at_random = answers(traits(Persona.RANDOM_SPAMMER, 0.0), deck, rng_for(0, 4, 0))
    constant = answers(traits(Persona.CONSTANT_SPAMMER, 0.0), deck, rng_for(0, 5, 0))
    assert (at_random == deck.truth).mean() == pytest.approx(1 / LABELS, abs=0.02)
    assert len(set(constant.tolist())) == 1


def test_opinions_depend_on_seed_worker_and_deck_alone(deck: Deck) -> None:
    worker = traits(Persona.AVERAGE, 0.8)
    first = answers(worker, deck, rng_for(7, 1, 0))
    assert np.array_equal(first, answers(worker, deck, rng_for(7, 1, 0)))
    assert not np.array_equal(first, answers(worker, deck, rng_for(7, 2, 0)))
    assert not np.array_equal(first, answers(worker, deck, rng_for(8, 1, 0)))


@given(
    accuracy=st.floats(0.05, 0.99),
    ease=st.lists(st.floats(-3, 3), min_size=1, max_size=50).map(np.array),
)
def test_ability_reaches_the_accuracy_asked_for(accuracy: float, ease: np.ndarray) -> None:
    reached = expit(ability_for(accuracy, ease) + ease).mean()
    assert reached == pytest.approx(accuracy, abs=1e-6)


def test_the_staff_has_every_persona_and_unique_names() -> None:
    crowd = staff()
    assert {member.persona for member in crowd} == set(Persona)
    assert len({member.name for member in crowd}) == len(crowd)
