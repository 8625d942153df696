"""The simulator's secret: each job's truth, how hard each item is, and what it looks like.

The difficulty of a digit comes from the pixels, that of a ticket from the second intent its
author wrote into it; neither reaches the service.
"""

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import numpy as np
from scipy.special import log_softmax, softmax

from examples.demo.crowd import Codes, Deck, Floats
from examples.demo.dataset import DemoDataset
from examples.demo.digits import DIGITS, INK_MAX, digit_arrays

AMBIGUOUS_EASE = -1.8
"""How much harder, in log-odds, a ticket with two intents is than one with a single one."""

PLAIN_SPREAD = 0.7
"""Standard deviation of the ease of tickets with one intent."""

SECOND_INTENT_SHARE = 0.85
"""How often a wrong answer to a ticket with two intents is the second one."""

DISTANCE_SCALE = 2.0
"""Squared distance, in full ink, that makes an image e times less like a digit."""

DIGITS_SPREAD = 1.2
"""Standard deviation of the ease of digits."""

RANDOM_SLIP = 0.003
"""How much any wrong digit may be answered, however little it looks like the image."""

EASE_LIMIT = 3.0
"""No item is easier or harder than this, in log-odds."""


def content_key(content: str | bytes) -> str:
    """Return the name by which a worker recognises an item: a digest of what they are shown."""
    data = content.encode() if isinstance(content, str) else content
    return blake2b(data, digest_size=16).hexdigest()


def digits_deck(dataset: DemoDataset) -> Deck:
    """Return the digits as the crowd sees them.

    An image is as easy, and looks as much like other digits, as its distances to the mean image
    of each digit say.
    """
    images, truth = digit_arrays()
    pixels = images.reshape(len(images), -1) / INK_MAX
    means = np.stack([pixels[truth == digit].mean(axis=0) for digit in range(len(DIGITS))])
    distance = ((pixels[:, None, :] - means[None, :, :]) ** 2).sum(axis=2)
    scores = -distance / DISTANCE_SCALE
    own = log_softmax(scores, axis=1)[np.arange(len(truth)), truth]
    ease = own - np.log1p(-np.exp(np.minimum(own, -1e-6)))
    ease = DIGITS_SPREAD * (ease - ease.mean()) / ease.std()
    return _deck(dataset, ease, softmax(scores, axis=1) + RANDOM_SLIP)


def tickets_deck(dataset: DemoDataset, seed: int) -> Deck:
    """Return the tickets as the crowd sees them.

    A ticket with two intents is hard and mistaken for its second; any other is now and then
    mistaken for an intent that the corpus shows together with its own.
    """
    rng = np.random.default_rng(seed)
    codes = {name: code for code, name in enumerate(dataset.label_set.names)}
    related = np.full((len(codes), len(codes)), 0.5)
    for item, own in zip(dataset.items, dataset.gold_codes, strict=True):
        if item.also is not None:
            related[own, codes[item.also]] += 1
            related[codes[item.also], own] += 1
    ease = rng.normal(0.3, PLAIN_SPREAD, len(dataset.items))
    likeness = related[np.array(dataset.gold_codes)]
    for row, item in enumerate(dataset.items):
        if item.also is not None:
            ease[row] += AMBIGUOUS_EASE
            likeness[row] *= (1 - SECOND_INTENT_SHARE) / likeness[row].sum()
            likeness[row, codes[item.also]] += SECOND_INTENT_SHARE
    return _deck(dataset, ease, likeness)


def save_deck(deck: Deck, path: Path) -> None:
    """Write a deck for a crowd process."""
    np.savez(
        path,
        label_names=np.array(deck.label_names),
        keys=np.array(deck.keys),
        truth=deck.truth,
        ease=deck.ease,
        lookalike=deck.lookalike,
    )


def load_deck(path: Path) -> Deck:
    """Read what `save_deck` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return Deck(
            label_names=tuple(str(name) for name in stored["label_names"]),
            keys=tuple(str(key) for key in stored["keys"]),
            truth=stored["truth"],
            ease=stored["ease"],
            lookalike=stored["lookalike"],
        )


def keys_of(contents: Iterable[str | bytes]) -> tuple[str, ...]:
    """Return the key of each content."""
    return tuple(content_key(content) for content in contents)


def _deck(dataset: DemoDataset, ease: Floats, likeness: Floats) -> Deck:
    truth: Codes = np.array(dataset.gold_codes, dtype=np.int64)
    lookalike = likeness.astype(np.float64, copy=True)
    lookalike[np.arange(len(truth)), truth] = 0.0
    return Deck(
        label_names=dataset.label_set.names,
        keys=keys_of(item.content for item in dataset.items),
        truth=truth,
        ease=np.clip(ease, -EASE_LIMIT, EASE_LIMIT),
        lookalike=lookalike / lookalike.sum(axis=1, keepdims=True),
    )
