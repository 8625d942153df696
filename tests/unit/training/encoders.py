"""Base models small enough for a test, in a Hugging Face cache of their own, and texts for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
)

from training.backbone import Backbone, open_backbone
from training.config import Inputs
from training.data import TrainingData

TINY_BERT, TINY_VIT = "acme/tiny-bert", "acme/tiny-vit"
REVISION = "f" * 40

WORDS = ("red", "big", "dog", "cat", "runs", "sleeps", "the", "a", "old", "new")


@contextmanager
def tiny_hub(folder: Path) -> Iterator[None]:
    """Let the hub's client find two tiny models with random weights, and nothing else."""
    _save_bert(_repository(folder, TINY_BERT))
    _save_vit(_repository(folder, TINY_VIT))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_CACHE", str(folder))
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        yield


def backbone(base_model: str = TINY_BERT, inputs: Inputs = "texts") -> Backbone:
    return open_backbone(base_model, inputs, torch.device("cpu"))


def texts(items: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Return texts of the first two words among others, and labels that say which comes first."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, items)
    contents = []
    for label in labels:
        others = list(rng.choice(WORDS[2:], rng.integers(1, 3)))
        first, second = np.sort(rng.choice(len(others) + 2, 2, replace=False))
        others.insert(first, WORDS[label])
        others.insert(second, WORDS[1 - label])
        contents.append(" ".join(others))
    return contents, labels


def pictures(items: int, seed: int = 0) -> tuple[list[bytes], np.ndarray]:
    """Return PNGs that are dark or light, and which."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, items)
    contents = []
    for label in labels:
        pixels = rng.integers(0, 100, (16, 16, 3)) + 155 * label
        buffer = BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(buffer, format="PNG")
        contents.append(buffer.getvalue())
    return contents, labels


def data_of(
    contents: list[str] | list[bytes], labels: np.ndarray, read_by: Backbone, folds: int = 2
) -> TrainingData:
    """Return rows as a snapshot holds them: contents, and features of the frozen base model."""
    batch = read_by.collate(read_by.read(contents))
    with torch.inference_mode():
        placed = {name: torch.from_numpy(each) for name, each in batch.items()}
        features = read_by.pool(read_by.network, placed).numpy()
    return TrainingData(
        features=features.astype(np.float16).astype(np.float32),
        targets=np.eye(2, dtype=np.float32)[labels] * np.float32(0.9) + np.float32(0.05),
        weights=np.ones(len(labels), np.float32),
        folds=np.random.default_rng(2).integers(0, folds, len(labels)),
        contents=contents,
    )


def _repository(folder: Path, name: str) -> Path:
    """Return the folder of a repository's only revision in a cache of the hub's client."""
    repository = folder / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    revision = repository / "snapshots" / REVISION
    revision.mkdir(parents=True)
    return revision


def _save_bert(folder: Path) -> None:
    pad, unknown = "[PAD]", "[UNK]"
    vocabulary = {word: code for code, word in enumerate((pad, unknown, *WORDS))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token=pad, unk_token=unknown, model_max_length=16
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    BertModel(config).save_pretrained(folder)


def _save_vit(folder: Path) -> None:
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
