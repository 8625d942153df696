"""The adapters to crowd-kit: texts and masks."""

from collections.abc import Sequence

import numpy as np
import pytest

from allocation.quality.votes import Codes, Floats
from cluster.errors import InvalidField
from serve_apps.structured import MASK_METHODS, masks, rasa, rover


def codes(*values: int) -> Codes:
    return np.array(values, dtype=np.int64)


def lengths(texts: Sequence[str]) -> Floats:
    return np.array([[float(len(text)), 1.0] for text in texts])


def test_rover_votes_word_by_word() -> None:
    texts = ["a b x", "a y c", "z b c", "one"]

    assert rover(codes(0, 0, 0, 1), codes(0, 1, 2, 0), texts) == {0: "a b c", 1: "one"}


def test_rasa_takes_the_answer_nearest_to_the_mean() -> None:
    texts = ["four", "fives", "a text that is far longer", "same", "same"]

    found = rasa(codes(0, 0, 0, 1, 1), codes(0, 1, 2, 0, 1), texts, lengths)

    assert found[0] in {"four", "fives"}
    assert found[1] == "same"


@pytest.mark.parametrize("method", MASK_METHODS)
def test_masks_of_a_mostly_right_crowd_are_right(method: str) -> None:
    # Given twelve discs drawn by five workers each, of whom two draw noise
    rng = np.random.default_rng(0)
    grid = np.indices((24, 24)) - 12.0
    truth = [(grid**2).sum(axis=0) < radius**2 for radius in range(4, 10)]
    items, workers = (each.ravel() for each in np.indices((len(truth), 5)))
    noise = np.array([0.02, 0.02, 0.02, 0.3, 0.3])
    drawn = [
        truth[item] ^ (rng.random((24, 24)) < noise[worker])
        for item, worker in zip(items, workers, strict=True)
    ]

    # When they are aggregated
    found = masks(items, workers, drawn, method)

    # Then most of each disc is there and little else
    overlap = [(found[at] & disc).sum() / (found[at] | disc).sum() for at, disc in enumerate(truth)]
    assert np.mean(overlap) > 0.8


def test_masks_must_have_one_shape_and_a_known_method() -> None:
    drawn = [np.zeros((2, 2), dtype=np.bool_), np.zeros((2, 3), dtype=np.bool_)]

    with pytest.raises(InvalidField, match=r"mask: row 2 is \(2, 3\)"):
        masks(codes(0, 0), codes(0, 1), drawn)
    with pytest.raises(InvalidField, match="vote is none of"):
        masks(codes(0), codes(0), drawn[:1], "vote")
