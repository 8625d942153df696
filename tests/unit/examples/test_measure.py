"""The figures of a run, on inputs whose figures are known."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.demo.crowd import staff
from examples.demo.decks import tickets_deck
from examples.demo.measure import (
    fixed_redundancy,
    pace,
    reliability,
    share_right,
    simulated_votes,
    stage_spans,
    states_entered,
    wilson_interval,
)
from examples.demo.run_data import Bought
from examples.demo.tickets import load_tickets
from serve_apps.gateway.schemas.jobs import EventView


def test_only_items_of_known_gold_are_judged() -> None:
    assert share_right({"a": "x", "b": "y", "c": "z"}, {"a": "x", "b": "x"}) == 0.5
    assert share_right({"a": "x"}, {}) is None


def test_reliability_bins_cover_all_labels_once() -> None:
    said = [0.55] * 10 + [0.58] * 10 + [0.995] * 20 + [1.0]
    right = [True] * 10 + [False] * 10 + [True] * 21
    bins = reliability(said, right)
    assert [(entry.items, entry.accuracy) for entry in bins] == [(20, 0.5), (21, 1.0)]
    assert bins[0].mean_probability == pytest.approx(0.565)


def test_a_reliability_bin_of_few_labels_joins_the_next() -> None:
    bins = reliability([0.2] + [0.65] * 12 + [0.97] * 3, [True] * 16)
    assert [(entry.low, entry.high, entry.items) for entry in bins] == [
        (0.2, 0.7, 13),
        (0.7, 1.0, 3),
    ]


def test_reliability_of_nothing_has_no_bins() -> None:
    assert reliability([], []) == ()


def test_pace_counts_answers_by_the_second() -> None:
    assert pace([0.2, 0.9, 3.5, 3.6, 3.7]) == (Bought(1.0, 2), Bought(4.0, 5))


@given(total=st.integers(1, 5_000), share=st.floats(0, 1))
def test_wilson_interval_holds_the_share(total: int, share: float) -> None:
    right = round(share * total)
    low, high = wilson_interval(right, total)
    assert 0 <= low <= right / total + 1e-9
    assert right / total - 1e-9 <= high <= 1


def test_a_majority_of_all_voters_is_their_majority() -> None:
    votes = np.array([[0, 1, 1], [0, 1, 0], [1, 1, 2]])
    outcome = fixed_redundancy(votes, np.array([0, 1, 2]), 3, price=0.1, seed=0)
    assert outcome.accuracy == pytest.approx((1 + 1 + 1 / 3) / 3)
    assert outcome.answers == 9
    assert outcome.cost == pytest.approx(0.9)


def test_an_item_with_too_few_votes_uses_those_it_has() -> None:
    votes = np.array([[0, 1], [-1, 1], [-1, 0]])
    outcome = fixed_redundancy(votes, np.array([0, 1]), 3, price=1.0, seed=0)
    assert (outcome.answers, outcome.accuracy) == (4, 1.0)


def test_more_answers_of_the_demo_crowd_are_better() -> None:
    deck = tickets_deck(load_tickets(), seed=0)
    votes = simulated_votes(staff(), deck, 1, seed=0)
    reached = [
        fixed_redundancy(votes, deck.truth, count, price=1.0, seed=0).accuracy
        for count in (1, 3, 5)
    ]
    assert 0.7 < reached[0] < reached[1] < reached[2] < 0.99


def test_states_are_read_from_the_event_log() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    messages = (
        "the job is asking",
        "the job is learning",
        "the job is hungry",
        "the job is asking",
    )
    events = [
        EventView(
            seq=second,
            kind="state",
            at=datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC),
            message=message,
            figures={},
        )
        for second, message in enumerate(messages, start=1)
    ]
    states = states_entered(events, start)
    assert states == ((1.0, "asking"), (2.0, "learning"), (4.0, "asking"))


def test_answers_are_shared_among_asking_stages_by_their_length() -> None:
    states = [(0.0, "ingesting"), (1.0, "asking"), (4.0, "learning"), (5.0, "asking"), (6.0, "x")]
    spans = stage_spans(states, items=10, answers_bought=100)
    assert [(span.stage, span.work, span.unit) for span in spans] == [
        ("ingesting", 10, "items"),
        ("asking", 75, "answers"),
        ("learning", 1, "rounds"),
        ("asking", 25, "answers"),
    ]
