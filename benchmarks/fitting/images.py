"""Small images to learn from: real ones with the labels of a real crowd, or drawn ones."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from PIL import Image

Floats = npt.NDArray[np.float32]

SET = "loop/cifar10n_10k"
SIDE = 32


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Pixels (n, 3 * 32 * 32) in [0, 1], what a crowd says of each (n, K), and the truth (n,)."""

    pixels: Floats
    targets: Floats
    truth: npt.NDArray[np.int64]
    origin: str

    def __len__(self) -> int:
        return len(self.truth)

    def rows(self, start: int, stop: int) -> "Images":
        """Return some of them."""
        part = slice(start, stop)
        return Images(self.pixels[part], self.targets[part], self.truth[part], self.origin)


def read_images(data: Path, count: int) -> Images:
    """Return the first images of CIFAR-10N below a folder of recorded sets."""
    folder = data / SET
    items = pq.read_table(folder / "items.parquet", columns=["item_id", "image"]).slice(0, count)
    ids = items["item_id"].to_pylist()
    answers = pq.read_table(folder / "answers.parquet", columns=["item_id", "label"])
    truth = pq.read_table(folder / "truth.parquet")
    names = sorted(set(truth["label"].to_pylist()))
    codes, places = {name: code for code, name in enumerate(names)}, _places(ids)
    votes = np.zeros((len(ids), len(names)), np.float32)
    for item, label in zip(
        answers["item_id"].to_pylist(), answers["label"].to_pylist(), strict=True
    ):
        if item in places:
            votes[places[item], codes[label]] += 1.0
    right = dict(zip(truth["item_id"].to_pylist(), truth["label"].to_pylist(), strict=True))
    return Images(
        pixels=np.stack([_pixels(content) for content in items["image"].to_pylist()]),
        targets=votes / votes.sum(axis=1, keepdims=True),
        truth=np.array([codes[right[item]] for item in ids]),
        origin="real",
    )


def draw_images(count: int, seed: int) -> Images:
    """Return noise with a brighter corner, one of four a class."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, count)
    pixels = rng.random((count, 3, SIDE, SIDE), np.float32) * np.float32(0.6)
    for image, label in zip(pixels, truth, strict=True):
        down, right = 16 * (label // 2), 16 * (label % 2)
        image[:, down : down + 16, right : right + 16] += np.float32(0.2)
    return Images(pixels.reshape(count, -1), np.eye(4, dtype=np.float32)[truth], truth, "drawn")


def _places(ids: list[str]) -> dict[str, int]:
    return {item: place for place, item in enumerate(ids)}


def _pixels(content: bytes) -> Floats:
    with Image.open(BytesIO(content)) as image:
        pixels = np.asarray(image.convert("RGB"), np.float32) / np.float32(255.0)
    return pixels.transpose(2, 0, 1).reshape(-1)
