"""Texts that share rows: what is laid where, and that no network can tell."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoConfig, AutoModel

from serve_apps.prelabel.packing import fill_rows, pack, plan_packed
from training.backbone import TextBackbone

SIZES = st.lists(st.integers(1, 300), min_size=1, max_size=200)
PAD = 1


@given(SIZES, st.integers(16, 4_096))
def test_every_text_is_in_one_batch_and_no_batch_of_several_is_over_the_budget(
    sizes: list[int], budget: int
) -> None:
    # When texts are planned
    batches = plan_packed(sizes, budget)
    # Then each is there once, and what a batch takes as it is laid out keeps to the budget
    assert sorted(index for batch in batches for index in batch) == list(range(len(sizes)))
    for batch in batches:
        tokens = pack([np.zeros(sizes[index]) for index in batch], PAD).tokens
        assert tokens.size <= budget or len(tokens) == 1


@given(SIZES)
def test_rows_hold_what_they_are_said_to_hold(sizes: list[int]) -> None:
    # Given texts whose tokens tell them apart
    texts = [1_000 * (index + 1) + np.arange(size) for index, size in enumerate(sizes)]
    # When they are packed
    packed = pack(texts, PAD)
    # Then each can be read again by its owner's number and places, and the rest is padding
    for index, text in enumerate(texts):
        own = packed.owners == index
        np.testing.assert_array_equal(packed.tokens[own], text)
        np.testing.assert_array_equal(packed.places[own], np.arange(len(text)))
    assert (packed.tokens[packed.owners == len(texts)] == PAD).all()


def test_short_texts_fill_their_rows() -> None:
    # Given the lengths of comments: many short ones and few long ones
    sizes = np.random.default_rng(0).geometric(1 / 20, 1_000).clip(3, 256).tolist()
    # Then hardly a cell is padding
    assert sum(sizes) >= 0.98 * fill_rows(sizes).cells


def test_texts_of_half_a_row_and_a_little_more_are_laid_in_wider_rows() -> None:
    assert fill_rows([33] * 100).cells < 1.4 * 33 * 100


def test_one_text_alone_takes_no_more_than_it_must() -> None:
    assert pack([np.zeros(9)], PAD).tokens.shape == (1, 16)


@pytest.mark.parametrize(
    "kind", ["bert", "distilbert", "electra", "roberta", "xlm-roberta", "camembert"]
)
def test_a_network_says_of_a_text_in_a_row_what_it_says_of_it_alone(kind: str) -> None:
    # Given a network of random weights, of one of the kinds that are packed
    torch.manual_seed(0)
    narrow = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 3}
    config = AutoConfig.for_model(
        kind, vocab_size=50, intermediate_size=64, pad_token_id=PAD, **narrow
    )
    network = AutoModel.from_config(config).eval()  # type: ignore[no-untyped-call]
    backbone = TextBackbone(Tokenizer(WordLevel({}, "")), network, PAD)
    texts = [np.arange(2, 2 + size) for size in (5, 30, 1, 12, 44, 7)]
    # When texts go through it in shared rows, and each by itself
    packed = pack(texts, PAD)
    tokens, places, owners = map(torch.from_numpy, (packed.tokens, packed.places, packed.owners))
    with torch.inference_mode():
        together = backbone.pool_packed(network, tokens, places, owners, len(texts))
        alone = [
            backbone.pool(
                network,
                {name: torch.from_numpy(each) for name, each in backbone.collate([text]).items()},
            )
            for text in texts
        ]
    # Then it says the same
    assert len(packed.tokens) < len(texts)
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)


def test_networks_of_other_kinds_are_not_packed() -> None:
    config = AutoConfig.for_model("mpnet", vocab_size=50, num_hidden_layers=1)
    network = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    backbone = TextBackbone(Tokenizer(WordLevel({}, "")), network, PAD)
    assert backbone.first_position is None
