"""Tuned encoders: F networks that came from one base model, each under its own linear head.

Member f is trained without the items of fold f, encoder and head alike, and labels those: tuned
versions are cross-fitted just as heads over frozen features are. What a member does not change of
the base model it shares with it and with the other members, in memory and by leaving it out of the
file.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from cluster.errors import ModelUnusable
from training.backbone import Array, Backbone, Content
from training.config import Base, Shape
from training.data import JudgedData
from training.heads import LinearHeads
from training.model import CrossFitted, Floats, Folds
from training.precision import autocast
from training.run_state import trained_state
from training.weights import metadata_of, shape_of

BATCH_ROWS = 64

_UNREAD = "pooler"
"""The part of many base models that nobody here reads; its weights may even be random."""


class TunedNetwork(nn.Module):
    """F members over one backbone: a network and a head over its centred and scaled features."""

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: Shape, backbone: Backbone, dropout: float = 0.0) -> None:
        """Build members equal to the base network; raises ValueError where `shape` fits it not."""
        super().__init__()
        if shape.base is None:
            raise ValueError(f"a {shape.kind} version is no tuned encoder")
        self._backbone = backbone
        self.register_buffer("mean", torch.zeros(shape.features))
        self.register_buffer("scale", torch.ones(()))
        self.networks = nn.ModuleList(
            _member(shape.base, backbone.network, dropout) for _ in range(shape.folds)
        )
        self.heads = nn.ModuleList(
            nn.Linear(shape.features, shape.classes) for _ in range(shape.folds)
        )

    @property
    def members(self) -> Sequence[nn.Module]:
        """Each member's network and head."""
        pairs = zip(self.networks, self.heads, strict=True)
        return [nn.ModuleList(pair) for pair in pairs]

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.scale.device

    def forward(self, batches: Sequence[dict[str, Tensor]]) -> list[Tensor]:
        """Return the logits (n_f, K) of every member f over a batch of its own."""
        return [self.member(fold, batch) for fold, batch in enumerate(batches)]

    def member(self, fold: int, batch: dict[str, Tensor]) -> Tensor:
        """Return the logits (n, K) of one member."""
        features = self.features(fold, batch)
        logits: Tensor = self.heads[fold]((features - self.mean) / self.scale)
        return logits

    def features(self, fold: int, batch: dict[str, Tensor]) -> Tensor:
        """Return the features (n, D) of one member."""
        return self._backbone.pool(self.networks[fold], batch)

    def placed(self, arrays: Sequence[Array]) -> dict[str, Tensor]:
        """Return a batch of contents that were read, where the network is."""
        batch = self._backbone.collate(arrays)
        return {name: torch.from_numpy(each).to(self.device) for name, each in batch.items()}

    def begin_at(self, heads: LinearHeads) -> None:
        """Give every member the head of its fold that fits the frozen base model best."""
        with torch.no_grad():
            self.mean.copy_(heads.mean)
            self.scale.copy_(heads.scale)
            weights = heads.linear.weight.chunk(len(self.heads))
            biases = heads.linear.bias.chunk(len(self.heads))
            for head, weight, bias in zip(self.heads, weights, biases, strict=True):
                head.get_parameter("weight").copy_(weight)
                head.get_parameter("bias").copy_(bias)


class TunedModel:
    """A trained model version that reads contents."""

    def __init__(self, shape: Shape, network: TunedNetwork, backbone: Backbone) -> None:
        self.shape = shape
        self._network, self._backbone = network.eval(), backbone

    @classmethod
    def load(cls, content: bytes, backbone: Backbone, model: str = "file") -> Self:
        """Return a model from its file and its base model; raises ModelUnusable naming `model`."""
        shape = shape_of(content, model)
        if shape.base is None:
            raise ModelUnusable(model, f"it is a {shape.kind}, no tuned encoder")
        misfit = ModelUnusable(model, f"its weights are not those of {shape.base.model} tuned")
        try:
            network = TunedNetwork(shape, backbone).to(backbone.network.device)
            tensors = load_tensors(content)
        except SafetensorError:
            raise ModelUnusable(model, "its file is corrupt") from None
        except ValueError:
            raise misfit from None
        expected = trained_state(network)
        if {name: each.shape for name, each in tensors.items()} != {
            name: each.shape for name, each in expected.items()
        }:
            raise misfit
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise ModelUnusable(model, "its weights are not finite")
        network.load_state_dict(tensors, strict=False)
        return cls(shape, network, backbone)

    def save(self) -> bytes:
        """Return the model as a safetensors file; equal models give equal bytes."""
        state = trained_state(self._network).items()
        return save_tensors(
            {name: tensor.cpu().contiguous() for name, tensor in state}, metadata_of(self.shape)
        )

    @property
    def networks(self) -> Sequence[nn.Module]:
        """The network of each member, to be pooled by the base model's backbone."""
        return list(self._network.networks)

    @property
    def heads(self) -> CrossFitted:
        """The members' heads, each over the features of its own network."""
        shape = replace(self.shape, kind="linear", base=None)
        heads = LinearHeads(shape)
        members = [member.state_dict() for member in self._network.heads]
        heads.load_state_dict(
            {
                "mean": self._network.mean,
                "scale": self._network.scale,
                "linear.weight": torch.cat([member["weight"] for member in members]),
                "linear.bias": torch.cat([member["bias"] for member in members]),
            }
        )
        return CrossFitted(shape, heads)

    def predict(self, contents: Sequence[Content], folds: Folds | None = None) -> Floats:
        """Return the class probabilities (n, K) of contents.

        `folds` (n,) names each content's own member; None takes the mean of all. Raises
        ModelUnusable where a probability is not finite.
        """
        heads = self.heads
        found = np.zeros((len(contents), self.shape.classes), np.float32)
        for fold in range(self.shape.folds):
            everything = np.arange(len(contents))
            rows = everything if folds is None else np.flatnonzero(folds == fold)
            features = self._features(fold, [contents[row] for row in rows.tolist()])
            said = heads.predict(features, np.full(len(rows), fold))
            found[rows] += said / np.float32(self.shape.folds) if folds is None else said
        return found

    def judged(self, rows: JudgedData) -> Floats:
        """Return what it says of rows (m, K), each by the member of its own fold."""
        return self.predict(rows.contents, rows.folds)

    def _features(self, fold: int, contents: Sequence[Content]) -> Floats:
        features = np.zeros((len(contents), self.shape.features), np.float32)
        order = sorted(range(len(contents)), key=lambda row: len(contents[row]))
        for start in range(0, len(order), BATCH_ROWS):
            rows = order[start : start + BATCH_ROWS]
            arrays = self._backbone.read([contents[row] for row in rows])
            with torch.inference_mode(), autocast(self._network.device):
                pooled = self._network.features(fold, self._network.placed(arrays))
            features[rows] = pooled.float().cpu().numpy()
        return features


def _member(base: Base, network: nn.Module, dropout: float) -> nn.Module:
    """Return a network equal to the base one, which it shares but for what is to change."""
    shared: dict[int, object] = {
        id(parameter): parameter
        for name, parameter in network.named_parameters()
        if base.rank or not _is_free(name, base)
    }
    member = deepcopy(network, shared)
    if base.rank:
        return _with_adapters(base, member, dropout)
    for name, parameter in member.named_parameters():
        parameter.requires_grad_(_is_free(name, base))
    return member


def _with_adapters(base: Base, network: nn.Module, dropout: float) -> nn.Module:
    """Return the network with low-rank adapters that change nothing yet (Hu et al. 2022)."""
    from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415 - takes seconds

    config = LoraConfig(
        r=base.rank,
        lora_alpha=base.alpha,
        lora_dropout=dropout,
        target_modules=list(base.targets) or "all-linear",
        exclude_modules=rf".*{_UNREAD}.*",
    )
    return inject_adapter_in_model(config, network)


def _is_free(name: str, base: Base) -> bool:
    """Return whether a weight of that name is trained."""
    return not {_UNREAD, *base.frozen} & set(name.split("."))
