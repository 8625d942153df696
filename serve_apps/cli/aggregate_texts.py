"""`muster aggregate` of texts: one text an item, by crowd-kit."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.table import Table

from allocation.quality.votes import Floats
from cluster.errors import TooLarge
from serve_apps.answer_tables import ColumnNames
from serve_apps.cli.inferred import Inferred, chosen
from serve_apps.prelabel.encode import encode
from serve_apps.prelabel.loading import ModelLoader
from serve_apps.prelabel.model import sentences
from serve_apps.prelabel.turns import Turns
from serve_apps.structured import rasa, rover
from serve_apps.structured_tables import TextTable, read_text_truth, read_texts
from training.config import MINILM

METHODS = ("rover", "rasa")
WORDS_MAX = 1_000
"""Aligning two texts takes time and memory by the product of their words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSummary:
    """What `--json` prints of texts.

    `word_error_rate` (words to change, add or remove by words of the reference) and `exact`, the
    share of texts equal to theirs, are over `truth_items` and null without any.
    """

    kind: str = "texts"
    method: str
    word_error_rate: float | None
    exact: float | None
    truth_items: int
    answers_per_item: float
    items: int
    answers: int
    workers: int
    seed: int = 0


def aggregate_texts(
    answers: Path, truth: Path | None, method: str | None, names: ColumnNames
) -> Inferred:
    """Return one text for each item of a table of texts. Raises a leaf of BadInput."""
    name = chosen(method, METHODS[0], METHODS, "texts")
    table = read_texts(answers, names)
    known = {} if truth is None else read_text_truth(truth)
    if name == "rasa":
        found = rasa(table.items, table.workers, table.texts, _embedded)
    else:
        _check_lengths(table, answers)
        found = rover(table.items, table.workers, table.texts)
    texts = [found[code] for code in range(len(table.item_ids))]
    summary = _summarise(table, known, texts, name)
    counts = np.bincount(table.items, minlength=len(table.item_ids))
    rows = pa.table({"item_id": list(table.item_ids), "text": texts, "answers": counts})
    return Inferred(figures=summary, shown=_shown(summary), rows=lambda: rows)


def word_errors(text: str, reference: str) -> int:
    """Return how many words to change, add or remove make a text its reference (Levenshtein)."""
    words, wanted = text.split(), reference.split()
    row = list(range(len(wanted) + 1))
    for at, word in enumerate(words, start=1):
        before, row = row, [at]
        for place, other in enumerate(wanted, start=1):
            row.append(min(before[place] + 1, row[-1] + 1, before[place - 1] + (word != other)))
    return row[-1]


def _check_lengths(table: TextTable, answers: Path) -> None:
    for row, text in enumerate(table.texts, start=1):
        if (words := len(text.split())) > WORDS_MAX:
            raise TooLarge(f"row {row} of {answers}", words, WORDS_MAX, "words")


def _embedded(texts: Sequence[str]) -> Floats:
    loader = ModelLoader(threads=1, image_pixels_max=1, pause=time.sleep)
    encoder = loader.encoder(MINILM, "text")
    encoded = encode(encoder, texts, encoder.budget, Turns(), urgent=False)
    return sentences(encoded.features).astype(np.float64)


def _summarise(
    table: TextTable, truth: dict[str, str], texts: Sequence[str], method: str
) -> TextSummary:
    pairs = [
        (text, truth[item])
        for item, text in zip(table.item_ids, texts, strict=True)
        if item in truth
    ]
    words = sum(len(reference.split()) for _, reference in pairs)
    wrong = sum(word_errors(text, reference) for text, reference in pairs)
    return TextSummary(
        method=method,
        word_error_rate=wrong / words if words else None,
        exact=sum(text == other for text, other in pairs) / len(pairs) if pairs else None,
        truth_items=len(pairs),
        answers_per_item=len(table.texts) / len(table.item_ids),
        items=len(table.item_ids),
        answers=len(table.texts),
        workers=len(table.worker_ids),
    )


def _shown(summary: TextSummary) -> Table:
    shown = Table(show_header=False)
    shown.add_row("kind", summary.kind)
    shown.add_row("method", summary.method)
    for name in ("items", "answers", "workers"):
        shown.add_row(name, f"{getattr(summary, name):,}")
    shown.add_row("answers per item", f"{summary.answers_per_item:.2f}")
    if summary.word_error_rate is not None and summary.exact is not None:
        over = f"over {summary.truth_items:,} items with a reference"
        shown.add_row("word error rate", f"{summary.word_error_rate:.4f} {over}")
        shown.add_row("equal to the reference", f"{summary.exact:.4f}")
    return shown
