"""Tables of crowd answers and of reference labels, read from CSV, JSON Lines or Parquet.

A table has one row an answer, with a column each for the item, the worker and the label, under any
of the usual names (`ITEM_NAMES`, `WORKER_NAMES`, `LABEL_NAMES`, in any case) or under names given.
A folder stands for its files `answers.*` and `truth.*`. Rows are counted from 1, headers apart.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from allocation.quality.votes import Codes, Votes
from cluster.domain.labels import LABELS_MAX
from cluster.errors import TooLarge
from serve_apps.table_files import SUFFIXES, encoded, file_of, read_table

ITEM_NAMES = ("item_id", "item", "task_id", "task", "question_id", "question")
WORKER_NAMES = ("worker_id", "worker", "performer", "annotator", "user")
LABEL_NAMES = ("label", "answer", "response")
TRUTH_NAMES = ("label", "truth", "gold", "answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnNames:
    """The columns to read; None stands for whichever usual name the table has."""

    item: str | None = None
    worker: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AnswerTable:
    """Votes, and what their codes stand for.

    Items and workers are numbered as they appear; labels in order, as numbers where all are.
    """

    votes: Votes
    item_ids: tuple[str, ...]
    worker_ids: tuple[str, ...]
    label_names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TruthTable:
    """Reference labels of answered items: `codes` (n_items,) is -1 where there is none.

    A reference label that no answer ever used has the code after the last. `rows` counts all
    reference labels, those of items without answers too.
    """

    codes: Codes
    rows: int

    @property
    def known(self) -> int:
        """The number of answered items with a reference label."""
        return int((self.codes >= 0).sum())

    def accuracy(self, labels: Codes) -> float | None:
        """Return the share of right labels among the known items; None where none is known."""
        known = self.codes >= 0
        return float((labels == self.codes)[known].mean()) if known.any() else None


def read_answers(path: Path, names: ColumnNames | None = None) -> AnswerTable:
    """Read a table of answers; a worker may answer an item more than once.

    Raises a leaf of BadInput that names the file, and the column and row where there is one.
    """
    names = names or ColumnNames()
    source = file_of(path, "answers")
    table = read_table(source)
    items = encoded(table, names.item, ITEM_NAMES, source)
    workers = encoded(table, names.worker, WORKER_NAMES, source)
    labels = encoded(table, names.label, LABEL_NAMES, source, classes=True)
    if len(labels.dictionary) > LABELS_MAX:
        raise TooLarge(f"the label set of {source}", len(labels.dictionary), LABELS_MAX, "labels")
    label_names, label_codes = _ordered(labels)
    return AnswerTable(
        votes=Votes.of(
            _codes(items),
            _codes(workers),
            label_codes,
            n_items=len(items.dictionary),
            n_workers=len(workers.dictionary),
            n_labels=len(label_names),
        ),
        item_ids=tuple(items.dictionary.to_pylist()),
        worker_ids=tuple(workers.dictionary.to_pylist()),
        label_names=label_names,
    )


def read_truth(path: Path, answers: AnswerTable, names: ColumnNames | None = None) -> TruthTable:
    """Read reference labels; where an item has several, the last counts. Raises like answers."""
    names = names or ColumnNames()
    source = file_of(path, "truth")
    table = read_table(source)
    items = encoded(table, names.item, ITEM_NAMES, source)
    labels = encoded(table, names.label, TRUTH_NAMES, source, classes=True)
    positions = _positions(items.dictionary, answers.item_ids, missing=-1)[_codes(items)]
    unused = len(answers.label_names)
    values = _positions(labels.dictionary, answers.label_names, missing=unused)[_codes(labels)]
    codes = np.full(len(answers.item_ids), -1, dtype=np.int64)
    answered = positions >= 0
    codes[positions[answered]] = values[answered]
    return TruthTable(codes=codes, rows=len(items.dictionary))


def truth_beside(path: Path) -> Path | None:
    """Return the folder itself where it holds reference labels too, else None."""
    return path if any((path / f"truth{suffix}").is_file() for suffix in SUFFIXES) else None


def _codes(encoded: pa.DictionaryArray) -> npt.NDArray[np.int64]:
    return np.asarray(encoded.indices.to_numpy(), dtype=np.int64)


def _positions(texts: pa.StringArray, among: tuple[str, ...], missing: int) -> Codes:
    index = {text: position for position, text in enumerate(among)}
    return np.array([index.get(text, missing) for text in texts.to_pylist()], dtype=np.int64)


def _ordered(labels: pa.DictionaryArray) -> tuple[tuple[str, ...], Codes]:
    names: list[str] = labels.dictionary.to_pylist()
    whole = all(name.lstrip("+-").isdecimal() for name in names)
    ordered = tuple(sorted(names, key=(lambda name: (int(name), name)) if whole else str))
    return ordered, _positions(labels.dictionary, ordered, missing=-1)[_codes(labels)]
