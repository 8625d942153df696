"""1,797 real handwritten digits that scikit-learn ships (UCI ML, Alpaydin and Kaynak 1998)."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits as load_bundled_digits

from cluster.domain.labels import Label, LabelSet
from examples.demo.dataset import DemoDataset, DemoItem

Pixels = npt.NDArray[np.float64]

DIGITS = LabelSet(
    tuple(
        Label(str(digit), f"a handwritten digit {word}")
        for digit, word in enumerate(
            ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
        )
    )
)

INK_MAX = 16
"""The darkest value of a pixel in the bundled arrays."""

SCALE = 4
"""Side length of the PNG per pixel of the 8x8 original."""


def load_digits() -> DemoDataset:
    """Return the digits as an image job: 32x32 grey PNGs, each named by its place in the set."""
    pixels, targets = digit_arrays()
    return DemoDataset(
        name="digits",
        title="Handwritten digits",
        modality="image",
        label_set=DIGITS,
        items=tuple(
            DemoItem(item_id=f"digit-{n:04d}", content=to_png(image), gold=str(target))
            for n, (image, target) in enumerate(zip(pixels, targets, strict=True))
        ),
        instructions="Which digit is written here?",
        base_model="resnet",
    )


def digit_arrays() -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Return the bundled images (n, 8, 8), ink from 0 to INK_MAX, and their true digits (n,)."""
    bundled = load_bundled_digits()
    return np.asarray(bundled.images, np.float64), np.asarray(bundled.target, np.int64)


def to_png(image: Pixels) -> bytes:
    """Return an 8x8 image as PNG bytes, black ink on white, enlarged smoothly."""
    grey = np.rint(255.0 - image * (255.0 / INK_MAX)).astype(np.uint8)
    size = (image.shape[1] * SCALE, image.shape[0] * SCALE)
    buffer = BytesIO()
    Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
