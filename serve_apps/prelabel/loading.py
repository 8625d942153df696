"""The one factory of real models; torch is imported only when one is asked for."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from cluster.domain.items import Modality
from cluster.domain.models import Precision
from cluster.errors import ModelUnusable
from serve_apps.prelabel.fake import FakeEncoder
from serve_apps.prelabel.image import PixelEncoder
from serve_apps.prelabel.model import Encoder, Version
from serve_apps.prelabel.pairs import PairEncoder
from training.config import MINILM

RESNET = "resnet"
FAKE = "fake"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLoader:
    """Loads encoders by base model, and trained versions from their files.

    `minilm` and `resnet` come with Muster; `fake` is for tests, and `fake:2.5` takes 2.5 ms an
    item by calling `pause`, and calls `die` over deadly ones; anything else is a Hugging Face
    repository. Networks compute in numbers of a `precision`, and those of base models are compiled
    if `compiles`. Torch gets `threads` threads in the whole process.
    """

    threads: int
    image_pixels_max: int
    pause: Callable[[float], None]
    die: Callable[[], object] = os.abort
    precision: Precision = "fastest"
    compiles: bool = False

    def encoder(self, base_model: str, modality: Modality) -> Encoder:
        """Return a base model ready for contents of a modality."""
        family, _, service_time_ms = base_model.partition(":")
        if family == FAKE:
            return FakeEncoder(float(service_time_ms or 0.0) / 1_000.0, self.pause, self.die)
        if base_model == RESNET and modality == "image":
            return PixelEncoder(self.image_pixels_max)
        if base_model == (MINILM if modality == "image" else RESNET):
            raise ModelUnusable(base_model, f"it does not take {modality} items")
        match modality:
            case "text":
                return self._text(base_model)
            case "image":
                return self._vision(base_model)
            case "text_pair":
                return PairEncoder(self._text(base_model))
            case _:
                assert_never(modality)

    def version(
        self, weights: bytes, base_model: str, encoder: Callable[[], Encoder], model: str
    ) -> Version:
        """Return the trained version in a safetensors file; `model` names it in errors."""
        from serve_apps.prelabel.trained import load_version  # noqa: PLC0415 - imports torch

        self._limit_threads()
        return load_version(weights, base_model, encoder, model)

    def _text(self, base_model: str) -> Encoder:
        from serve_apps.prelabel import hub, text  # noqa: PLC0415 - imports torch
        from training.backbone import folder_of  # noqa: PLC0415 - imports torch

        self._limit_threads()
        placement = hub.Placement.best(self.precision, compiles=self.compiles)
        return text.TextEncoder.load(folder_of(base_model), placement)

    def _vision(self, base_model: str) -> Encoder:
        from serve_apps.prelabel import hub, vision  # noqa: PLC0415 - imports torch
        from training.backbone import folder_of  # noqa: PLC0415 - imports torch

        self._limit_threads()
        placement = hub.Placement.best(self.precision, compiles=self.compiles)
        return vision.VisionEncoder.load(folder_of(base_model), placement, self.image_pixels_max)

    def _limit_threads(self) -> None:
        import torch  # noqa: PLC0415 - slow, and the gateway never needs it

        torch.set_num_threads(self.threads)
