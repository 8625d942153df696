"""What the simulator knows of the demo's own items, and that a crowd process reads it back."""

from pathlib import Path

import numpy as np

from examples.demo.decks import digits_deck, load_deck, save_deck, tickets_deck
from examples.demo.digits import load_digits
from examples.demo.tickets import load_tickets


def test_ambiguous_tickets_are_harder_and_look_like_their_second_intent() -> None:
    tickets = load_tickets()
    deck = tickets_deck(tickets, seed=1)
    ambiguous = np.array([item.also is not None for item in tickets.items])
    assert deck.ease[ambiguous].mean() < deck.ease[~ambiguous].mean() - 1
    for row, item in enumerate(tickets.items):
        if item.also is not None:
            assert deck.label_names[int(deck.lookalike[row].argmax())] == item.also


def test_no_item_looks_like_its_own_label() -> None:
    for deck in (digits_deck(load_digits()), tickets_deck(load_tickets(), seed=0)):
        rows = np.arange(len(deck.truth))
        assert (deck.lookalike[rows, deck.truth] == 0).all()
        assert np.allclose(deck.lookalike.sum(axis=1), 1)
        assert len(set(deck.keys)) == len(deck.keys)


def test_a_deck_survives_its_file(tmp_path: Path) -> None:
    deck = tickets_deck(load_tickets(), seed=2)
    save_deck(deck, tmp_path / "deck.npz")
    loaded = load_deck(tmp_path / "deck.npz")
    assert (loaded.label_names, loaded.keys) == (deck.label_names, deck.keys)
    assert np.array_equal(loaded.truth, deck.truth)
    assert np.array_equal(loaded.ease, deck.ease)
    assert np.array_equal(loaded.lookalike, deck.lookalike)
