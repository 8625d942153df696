"""Pairs of texts by an encoder of single ones."""

import numpy as np
import pytest

from cluster.domain.pairs import joined
from cluster.errors import ModelUnusable
from cluster.stores.objects import MemoryObjects
from serve_apps.prelabel.encode import encode
from serve_apps.prelabel.model import BatchBudget, Encoder, Features, sentences
from serve_apps.prelabel.turns import Turns
from serve_apps.prelabel.work import ChunkWork
from tests.unit.prelabel.support import (
    loader,
    model_spec,
    predictor_over,
    read_predictions,
    store_chunk,
)
from training.backbone import TOKENS_MAX
from training.data import TrainingData
from training.recipes import recipe_for
from training.step import fit

PAIRS = [
    ("A man is eating food.", "A man is eating a piece of bread."),
    ("A man is eating food.", "The girl is carrying a baby."),
    ("word " * 600, "short"),
    ("short", "Ω naïve café 東京 🙂 " * 40),
    ("", "something"),
]


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return loader().encoder("minilm", "text_pair")


def features_of(encoder: Encoder, contents: list[str], budget: int = 4_096) -> Features:
    encoded = encode(encoder, contents, BatchBudget.fixed(budget), Turns(), urgent=False)
    assert not encoded.failures
    return encoded.features


def test_features_compare_the_embeddings_of_both_texts(minilm: Encoder) -> None:
    # Given the embeddings of single texts
    texts = loader().encoder("minilm", "text")
    first, second = (
        sentences(features_of(texts, [pair[side] for pair in PAIRS])) for side in (0, 1)
    )
    # Then a pair's features are their difference, distance and product, and their cosine
    root = np.sqrt(first.shape[1])
    cosines = root * np.array([[one @ other] for one, other in zip(first, second, strict=True)])
    expected = np.hstack([first - second, np.abs(first - second), root * first * second, cosines])
    found = features_of(minilm, [joined(*pair) for pair in PAIRS])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.shape[1] == minilm.dimensions
    # And the same texts in another order differ in the sign of their difference alone
    turned = features_of(minilm, [joined(second, first) for first, second in PAIRS])
    np.testing.assert_allclose(turned[:, :384], -found[:, :384], atol=1e-4)
    np.testing.assert_allclose(turned[:, 384:], found[:, 384:], atol=1e-4)


def test_batching_does_not_change_features(minilm: Encoder) -> None:
    contents = [joined(*pair) for pair in PAIRS]
    alone = features_of(minilm, contents, budget=1)
    np.testing.assert_allclose(features_of(minilm, contents), alone, atol=1e-4)


def test_each_text_is_cut_by_itself_and_size_is_of_both(minilm: Encoder) -> None:
    long, single = minilm.prepare([joined("word " * 600, "word " * 600), joined("word", "word")])
    assert long.size == 2 * TOKENS_MAX
    assert single.size == 2 * loader().encoder("minilm", "text").prepare(["word"])[0].size


def test_it_handles_its_own_sample(minilm: Encoder) -> None:
    assert features_of(minilm, [str(minilm.sample)]).shape == (1, minilm.dimensions)


def test_what_is_no_pair_is_poison_and_others_are_not() -> None:
    predictor = predictor_over(MemoryObjects())
    spec = model_spec("minilm", modality="text_pair")
    found = predictor.predict_online([b"bytes", "no pair", joined("a", "b")], spec).probabilities
    np.testing.assert_array_equal(found, np.full((3, 3), np.float32(1 / 3)))


def test_labels_names_tell_nothing_of_a_pair() -> None:
    # Given a job whose line has no trained version yet
    objects = MemoryObjects()
    chunk = store_chunk(objects, [joined(*pair) for pair in PAIRS])
    work = ChunkWork(chunk=chunk, model=model_spec("minilm", modality="text_pair"))
    # When it is pre-labelled
    outcome = predictor_over(objects).predict(work)
    # Then every label is equally likely, and nothing is poison
    _, probabilities = read_predictions(objects, outcome.predictions_path)
    np.testing.assert_array_equal(probabilities, np.full((5, 3), np.float32(1 / 3)))
    assert not outcome.poison


def test_an_image_model_takes_no_pairs() -> None:
    with pytest.raises(ModelUnusable, match="does not take text_pair items"):
        loader().encoder("resnet", "text_pair")


THINGS = ("dog", "train", "violin", "river", "lawyer", "pizza", "engine", "teacher")
SAYINGS = (
    ("A {} is outside the house.", "Outside the building there is a {}."),
    ("I have never seen a {} before.", "It is the first time that I see a {}."),
    ("Somebody drew a {} on paper.", "There is a drawing of a {}."),
)


def test_a_linear_head_tells_paraphrases_of_what_it_never_saw(minilm: Encoder) -> None:
    # Given sentences about things, each beside its paraphrase or one about another thing
    pairs, labels = list[str](), list[int]()
    for number, thing in enumerate(THINGS):
        other = THINGS[(number + 3) % len(THINGS)]
        for one, again in SAYINGS:
            pairs += [joined(one.format(thing), again.format(name)) for name in (thing, other)]
            labels += [1, 0]
    features, seen = features_of(minilm, pairs), np.arange(len(pairs)) < len(pairs) * 3 // 4
    # When the recipe of pairs is trained on some of the things
    data = TrainingData(
        features=features[seen],
        targets=np.eye(2, dtype=np.float32)[np.array(labels)[seen]],
        weights=np.ones(int(seen.sum()), np.float32),
        folds=np.arange(int(seen.sum())) // 2 % 5,
    )
    model = fit(recipe_for("text_pair", "minilm"), data, seed=0)
    # Then it is right on the others
    right = model.predict(features[~seen]).argmax(axis=1) == np.array(labels)[~seen]
    assert right.mean() >= 0.9
