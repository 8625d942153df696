"""Images: decoding for every image model, and the pixels a small network learns from directly."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from cluster.domain.labels import LabelSet
from serve_apps.prelabel.batching import plan_batches
from serve_apps.prelabel.model import (
    BatchBudget,
    Content,
    Features,
    Head,
    Inference,
    Prepared,
    UniformHead,
)
from training.pictures import decode

PIXEL_SIDE = 32
"""Height and width of the pictures the pixel model sees."""


class PixelEncoder:
    """Gives the picture itself as features: 3 x 32 x 32 values in [0, 1], channels first.

    The model over it is trained from nothing, so before the first training every label is equally
    likely.
    """

    def __init__(self, pixels_max: int) -> None:
        self._pixels_max = pixels_max

    @property
    def dimensions(self) -> int:
        """The width of the features."""
        return 3 * PIXEL_SIDE * PIXEL_SIDE

    @property
    def sample(self) -> Content:
        """A small grey picture."""
        return sample_png()

    @property
    def budget(self) -> BatchBudget:
        """Nearly four thousand pictures, as nothing is computed on them."""
        return BatchBudget(4_000_000, 500_000)

    def prepare(self, contents: Sequence[Content]) -> list[Prepared]:
        """Decode and resize."""
        return [Prepared(self._pixels(content), PIXEL_SIDE * PIXEL_SIDE) for content in contents]

    def plan(self, sizes: Sequence[int], budget: int) -> list[list[int]]:
        """Split pictures into batches, large ones first."""
        return plan_batches(sizes, budget)

    def launch(self, batch: Sequence[Prepared]) -> Inference:
        """Stack the pictures."""
        features = np.stack([item.array for item in batch]).astype(np.float32) / 255.0
        return lambda: features

    def label_contents(self, label_set: LabelSet) -> Sequence[Content]:  # noqa: ARG002
        """Return nothing: it cannot read."""
        return ()

    def zero_shot(self, label_set: LabelSet, label_features: Features) -> Head:  # noqa: ARG002
        """Return the uniform head."""
        return UniformHead(len(label_set))

    def _pixels(self, content: Content) -> npt.NDArray[np.uint8]:
        image = decode(content, self._pixels_max)
        small = image.resize((PIXEL_SIDE, PIXEL_SIDE), Image.Resampling.BILINEAR)
        return np.asarray(small, dtype=np.uint8).transpose(2, 0, 1).ravel()


def sample_png() -> bytes:
    """Return the PNG of a small grey picture."""
    buffer = BytesIO()
    Image.new("RGB", (PIXEL_SIDE, PIXEL_SIDE), (128, 128, 128)).save(buffer, format="PNG")
    return buffer.getvalue()
