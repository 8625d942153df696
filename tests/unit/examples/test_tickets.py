"""The corpus is what it claims to be: balanced, varied, and without near-duplicates."""

import re
from collections import Counter
from itertools import combinations, pairwise

from examples.demo.dataset import DemoDataset
from examples.demo.tickets import INTENTS, load_tickets

SIMILARITY_MAX = 0.4
"""Of the word pairs of two texts, the largest share they may have in common."""


def test_the_corpus_has_forty_tickets_of_each_of_twelve_intents() -> None:
    tickets = load_tickets()
    counts = Counter(item.gold for item in tickets.items)
    assert counts == dict.fromkeys(INTENTS.names, 40)
    assert len(INTENTS) == 12
    assert all(label.description for label in INTENTS.labels)


def test_ids_and_texts_are_unique() -> None:
    tickets = load_tickets()
    assert len({item.item_id for item in tickets.items}) == 480
    assert len({" ".join(words(item.content)) for item in tickets.items}) == 480


def test_no_two_texts_are_nearly_the_same() -> None:
    shingles = [pairs_of(words(item.content)) for item in load_tickets().items]
    worst = max(
        len(one & other) / len(one | other)
        for one, other in combinations([found for found in shingles if len(found) >= 4], 2)
    )
    assert worst < SIMILARITY_MAX


def test_an_ambiguous_ticket_names_another_intent_than_its_own() -> None:
    ambiguous = [item for item in load_tickets().items if item.also is not None]
    assert 60 <= len(ambiguous) <= 120
    assert all(item.also in INTENTS.names and item.also != item.gold for item in ambiguous)


def test_tickets_are_short_and_long() -> None:
    lengths = sorted(len(words(item.content)) for item in load_tickets().items)
    assert lengths[0] <= 2
    assert lengths[len(lengths) // 2] >= 10
    assert lengths[-1] >= 25


def test_intents_are_mixed_throughout_the_file() -> None:
    golds = [item.gold for item in load_tickets().items]
    assert max(Counter(golds[start : start + 40]).most_common(1)[0][1] for start in (0, 440)) < 12


def test_gold_codes_follow_the_label_set() -> None:
    tickets: DemoDataset = load_tickets()
    names = tickets.label_set.names
    assert [names[code] for code in tickets.gold_codes] == list(tickets.gold.values())


def words(content: str | bytes) -> list[str]:
    return re.findall(r"\w+", str(content).lower())


def pairs_of(found: list[str]) -> set[tuple[str, str]]:
    return set(pairwise(found))
