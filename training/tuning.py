"""Trains tuned encoders: a linear head on the frozen base model, then both together."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cluster.errors import TrainingFailed
from training.augmentation import shift
from training.backbone import Backbone, Content, open_backbone
from training.config import Shape, TunedEncoder
from training.data import TrainingData
from training.group import Group
from training.linear import fit_linear
from training.minibatch import fit_minibatches, own_logits, seeded
from training.progress import OnProgress
from training.run_state import RunState
from training.tensors import Rows
from training.tuned import TunedModel, TunedNetwork


class TunedLearner:
    """Members as the minibatch loop sees them, over the contents of one worker.

    Texts are tokenized once; pictures are decoded batch by batch, as they would fill the memory.
    """

    def __init__(
        self,
        config: TunedEncoder,
        network: TunedNetwork,
        backbone: Backbone,
        contents: Sequence[Content],
        folds: Tensor,
    ) -> None:
        self.network = network
        self._config, self._backbone, self._folds = config, backbone, folds
        self._contents = contents
        self._arrays = backbone.read(contents) if config.base.inputs == "texts" else None
        sizes = [0] * len(contents) if self._arrays is None else map(backbone.size, self._arrays)
        self._sizes = torch.tensor(list(sizes), device=folds.device)

    @property
    def members(self) -> Sequence[nn.Module]:
        """Each member's network and head."""
        return self.network.members

    @property
    def sizes(self) -> Tensor:
        """The tokens of each text (n,); pictures are all alike."""
        return self._sizes

    def logits(self, replica: nn.Module, index: Tensor, generator: torch.Generator) -> Tensor:
        """Return the logits (b, F, K) of some rows, 0 by the member of a row's own fold."""
        places = [_others(self._folds[index], fold) for fold in range(len(self.members))]
        batches = [self._augmented(index[place], generator) for place in places]
        outputs: list[Tensor] = replica(batches)
        logits = outputs[0].new_zeros(len(index), len(outputs), outputs[0].shape[1])
        for fold, (place, output) in enumerate(zip(places, outputs, strict=True)):
            logits[place, fold] = output
        return logits

    def own(self, index: Tensor) -> Tensor:
        """Return the logits (b, K) of some rows, each by the member of its own fold."""
        logits = torch.zeros(len(index), self.network.heads[0].get_parameter("bias").numel())
        logits = logits.to(index.device)
        for fold in range(len(self.members)):
            place = torch.nonzero(self._folds[index] == fold).flatten()
            if len(place):
                logits[place] = self.network.member(fold, self._batch(index[place])).float()
        return logits

    def _augmented(self, index: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        batch = self._batch(index)
        pixels = self._config.shift_pixels
        if pixels:
            batch["pixel_values"] = shift(batch["pixel_values"], pixels, generator)
        return batch

    def _batch(self, index: Tensor) -> dict[str, Tensor]:
        rows = index.tolist()
        if self._arrays is not None:
            return self.network.placed([self._arrays[row] for row in rows])
        return self.network.placed(self._backbone.read([self._contents[row] for row in rows]))


def fit_tuned(
    config: TunedEncoder,
    shape: Shape,
    data: TrainingData,
    rows: Rows,
    seed: int,
    group: Group,
    run_name: str,
    resume: RunState | None,
    on_progress: OnProgress | None,
) -> tuple[TunedModel, Tensor]:
    """Return a tuned version, and what its members say of the rows of their own folds (n, K).

    Raises TrainingFailed where the base model cannot be loaded or is not the one whose features
    the rows have, where contents are missing, and where the loss is not finite.
    """
    if len(data.contents) != len(data):
        raise TrainingFailed(run_name, "its rows have no contents")
    backbone = _opened(config, group, run_name)
    network = _built(config, shape, backbone, data.contents, seed, group, run_name)
    if resume is None:
        network.begin_at(fit_linear(config.head, shape, rows, group))
    learner = TunedLearner(config, network, backbone, data.contents, rows.folds)
    fit_minibatches(config, learner, rows, seed, group, run_name, resume, on_progress)
    return TunedModel(shape, network, backbone), own_logits(learner, group)


def _opened(config: TunedEncoder, group: Group, run_name: str) -> Backbone:
    try:
        return open_backbone(config.base.model, config.base.inputs, group.device)
    except (OSError, ValueError, RuntimeError) as error:
        reason = f"its base model {config.base.model} cannot be loaded ({type(error).__name__})"
        raise TrainingFailed(run_name, reason) from error


def _built(
    config: TunedEncoder,
    shape: Shape,
    backbone: Backbone,
    contents: Sequence[Content],
    seed: int,
    group: Group,
    run_name: str,
) -> TunedNetwork:
    """Return the members as they set out, alike on every worker."""
    try:
        with seeded(seed, group.device):
            network = TunedNetwork(shape, backbone, config.dropout).to(group.device)
    except ValueError:
        reason = f"{config.base.model} has no layers {', '.join(config.base.targets)} to adapt"
        raise TrainingFailed(run_name, reason) from None
    width = _width(network, backbone, contents[:1])
    if width != shape.features:
        reason = f"{config.base.model} gives {width} features, the rows have {shape.features}"
        raise TrainingFailed(run_name, reason)
    return network


def _width(network: TunedNetwork, backbone: Backbone, contents: Sequence[Content]) -> int:
    """Return how many features a member gives, by asking it."""
    with torch.no_grad():
        return network.features(0, network.placed(backbone.read(contents))).shape[1]


def _others(folds: Tensor, fold: int) -> Tensor:
    """Return the places of rows that a member learns from.

    Where there are none it is one, which counts nothing: every worker has a gradient of all.
    """
    places = torch.nonzero(folds != fold).flatten()
    return places if len(places) else torch.zeros(1, dtype=torch.int64, device=folds.device)
