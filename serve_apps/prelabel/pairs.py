"""Pairs of texts by an encoder of single ones."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cluster.domain.labels import LabelSet
from cluster.domain.pairs import joined, split
from serve_apps.prelabel.model import (
    BatchBudget,
    Content,
    Encoder,
    Features,
    Head,
    Inference,
    Prepared,
    UniformHead,
    sentences,
)

_NO_TOKEN = -1


class PairEncoder:
    """Features of a pair from the sentence embeddings of its texts, u and v in D dimensions.

    They are [u - v, |u - v|, sqrt(D) u * v, sqrt(D) cos(u, v)]: those of InferSent (Conneau et al.
    2017) with u and v as their difference, which still tells their order, and with the cosine that
    the encoder was trained for. A ridge penalty leaves out what is small, and would have to learn
    the cosine from D products; by sqrt(D) it is as large as its worth.
    """

    def __init__(self, texts: Encoder) -> None:
        self._texts = texts

    @property
    def dimensions(self) -> int:
        """Three times those of a sentence embedding, and one."""
        return 3 * self._texts.dimensions // 2 + 1

    @property
    def sample(self) -> Content:
        """Two plain sentences."""
        return joined("A sample sentence.", "Another one.")

    @property
    def budget(self) -> BatchBudget:
        """That of texts; each text of a pair takes its own share of it."""
        return self._texts.budget

    def prepare(self, contents: Sequence[Content]) -> list[Prepared]:
        """Tokenize both texts; sizes are in tokens of both. Raises TypeError for bytes."""
        sides = [_sides(content) for content in contents]
        firsts, seconds = ([each[index] for each in sides] for index in (0, 1))
        prepared = self._texts.prepare(firsts + seconds)
        return [
            _packed(first, second)
            for first, second in zip(prepared[: len(sides)], prepared[len(sides) :], strict=True)
        ]

    def plan(self, sizes: Sequence[int], budget: int) -> list[list[int]]:
        """Split pairs as their texts would be, were each one text."""
        return self._texts.plan(sizes, budget)

    def launch(self, batch: Sequence[Prepared]) -> Inference:
        """Start on the first texts and on the second ones, each padded among themselves."""
        first, second = (
            self._texts.launch([_unpacked(item, index) for item in batch]) for index in (0, 1)
        )
        return lambda: _compared(sentences(first()), sentences(second()))

    def label_contents(self, label_set: LabelSet) -> Sequence[Content]:  # noqa: ARG002
        """Return nothing: what labels say of two texts their names do not tell."""
        return ()

    def zero_shot(self, label_set: LabelSet, label_features: Features) -> Head:  # noqa: ARG002
        """Return the uniform head."""
        return UniformHead(len(label_set))


def _sides(content: Content) -> tuple[str, str]:
    if isinstance(content, bytes):
        raise TypeError("a model of text pairs was given bytes")
    return split(content)


def _packed(first: Prepared, second: Prepared) -> Prepared:
    """Return the tokens of two texts as the rows of one array."""
    tokens = np.full((2, max(first.size, second.size)), _NO_TOKEN, dtype=np.int64)
    tokens[0, : first.size] = first.array
    tokens[1, : second.size] = second.array
    return Prepared(tokens, first.size + second.size)


def _unpacked(pair: Prepared, index: int) -> Prepared:
    row: npt.NDArray[np.int64] = pair.array[index]
    size = int((row != _NO_TOKEN).sum())
    return Prepared(row[:size], size)


def _compared(first: Features, second: Features) -> Features:
    difference = first - second
    products = np.float32(np.sqrt(first.shape[1])) * first * second
    cosines = products.sum(axis=1, keepdims=True)
    return np.hstack([difference, np.abs(difference), products, cosines])
