import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.domain.labels import Label, LabelSet
from serve_apps.prelabel.zero_shot import SHRINKAGE, TEMPLATES, SimilarityHead, label_texts


def test_labels_are_spelled_as_words_with_their_descriptions() -> None:
    label_set = LabelSet((Label("card_arrival"), Label("top-up", "adding money")))
    assert label_texts(label_set)[:2] == ["card arrival", "top up: adding money"]
    assert len(label_texts(label_set)) == 2 * len(TEMPLATES)


@given(st.integers(2, 30), st.integers(0, 2**32 - 1))
def test_no_label_gets_more_than_shrinking_leaves(labels: int, seed: int) -> None:
    # Given items that lie exactly on a label
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(labels, 16)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    head = SimilarityHead(np.tile(embeddings, (len(TEMPLATES), 1)))
    # When they are labelled
    probabilities = head.predict(embeddings, None)
    # Then each gets its own label, and never all of the belief
    assert (probabilities.argmax(axis=1) == np.arange(labels)).all()
    assert probabilities.max() <= 1 - SHRINKAGE + SHRINKAGE / labels + 1e-6
    assert probabilities.min() >= SHRINKAGE / labels - 1e-6
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_an_item_like_no_label_more_than_another_is_uniform() -> None:
    head = SimilarityHead(np.tile(np.eye(3, dtype=np.float32), (len(TEMPLATES), 1)))
    probabilities = head.predict(np.full((1, 3), 3**-0.5, dtype=np.float32), None)
    assert probabilities == pytest.approx(np.full((1, 3), 1 / 3), abs=1e-6)
