"""Text encoders from Hugging Face: mean-pooled, unit-length sentence embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedModel

from cluster.domain.labels import LabelSet
from serve_apps.prelabel.hub import Placement, load_network
from serve_apps.prelabel.model import BatchBudget, Content, Features, Head, Inference, Prepared
from serve_apps.prelabel.zero_shot import SimilarityHead, label_texts

TOKENS_MAX = 256
"""Texts are cut here; MiniLM's sentence embeddings were trained so."""

CHARACTERS_MAX = 32_768
"""Texts are cut here before tokenizing, which bounds the work on one: 128 characters a token."""


class TextEncoder:
    """Pools a transformer's last layer over the tokens of a text (Reimers & Gurevych 2019)."""

    def __init__(
        self, tokenizer: Tokenizer, network: PreTrainedModel, placement: Placement, pad: int
    ) -> None:
        self._tokenizer, self._network, self._placement = tokenizer, network, placement
        self._pad = pad

    @classmethod
    def load(cls, folder: Path, placement: Placement) -> Self:
        """Load a model from a folder in Hugging Face layout; raises what transformers raises."""
        wrapped = AutoTokenizer.from_pretrained(folder, use_fast=True, trust_remote_code=False)
        # Called through its wrapper a tokenizer is re-configured on every call, which is not safe
        # on several threads ("Already borrowed"); configured once, it is.
        tokenizer: Tokenizer = wrapped.backend_tokenizer
        tokenizer.enable_truncation(min(TOKENS_MAX, wrapped.model_max_length))
        tokenizer.no_padding()
        return cls(tokenizer, load_network(folder, placement), placement, wrapped.pad_token_id or 0)

    @property
    def dimensions(self) -> int:
        """The width of the features."""
        return int(self._network.config.hidden_size)

    @property
    def sample(self) -> Content:
        """A plain sentence."""
        return "A sample sentence."

    @property
    def budget(self) -> BatchBudget:
        """What the placement asks for, in tokens."""
        return self._placement.text_budget

    def prepare(self, contents: Sequence[Content]) -> list[Prepared]:
        """Tokenize; sizes are in tokens. Raises TypeError for bytes."""
        encodings = self._tokenizer.encode_batch_fast([_text(content) for content in contents])
        return [Prepared(np.array(each.ids, dtype=np.int64), len(each.ids)) for each in encodings]

    def launch(self, batch: Sequence[Prepared]) -> Inference:
        """Start on one unit vector a text."""
        shape = len(batch), max(item.size for item in batch)
        tokens = np.full(shape, self._pad, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for row, item in enumerate(batch):
            tokens[row, : item.size] = item.array
            mask[row, : item.size] = 1
        with torch.inference_mode():
            return self._embed(self._placement.place(tokens), self._placement.place(mask))

    def label_contents(self, label_set: LabelSet) -> Sequence[Content]:
        """Return each label's name and description in several sentences."""
        return label_texts(label_set)

    def zero_shot(self, label_set: LabelSet, label_features: Features) -> Head:  # noqa: ARG002
        """Return the head that compares a text with the labels' own."""
        return SimilarityHead(label_features)

    def _embed(self, tokens: torch.Tensor, mask: torch.Tensor) -> Inference:
        output = self._network(input_ids=tokens, attention_mask=mask)
        weights = mask.unsqueeze(-1).float()
        sums = (output.last_hidden_state.float() * weights).sum(dim=1)
        pooled = sums / weights.sum(dim=1).clamp(min=1.0)
        return self._placement.fetched(torch.nn.functional.normalize(pooled, dim=1))


def _text(content: Content) -> str:
    if isinstance(content, bytes):
        raise TypeError("a text model was given bytes")
    return content[:CHARACTERS_MAX]
