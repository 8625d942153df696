"""The texts every side of the comparison labels, and the labels they may have."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.chaos.corpus import generate

RECORDED = "goemotions"
"""A folder of `loop/` with `items.parquet`: comments of people, of very different lengths."""

LABELS = ("admiration", "anger", "curiosity", "gratitude", "joy", "sadness", "neutral")


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Distinct texts, so that nobody gains by computing one twice; `origin` tells whence."""

    texts: Sequence[str]
    origin: str

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def rows(self) -> list[dict[str, str]]:
        """The texts as rows of a JSON Lines file that a job can read."""
        return [{"id": f"t{number}", "text": text} for number, text in enumerate(self.texts)]


def read_texts(folder: Path | None, items: int, seed: int) -> Texts:
    """Return up to `items` recorded texts, or as many generated ones where there is no folder."""
    if folder is None:
        return Texts(texts=generate(items, seed).texts, origin="generated")
    table = pq.read_table(folder / "loop" / RECORDED / "items.parquet", columns=["text"])
    distinct = list(dict.fromkeys(str(text) for text in table["text"].to_pylist() if text.strip()))
    return Texts(texts=distinct[:items], origin=RECORDED)
