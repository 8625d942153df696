"""Recorded crowds: a folder of items, answers and reference labels.

items.parquet    item_id, text | image            optional: without it no model can help
answers.parquet  item_id, worker_id, label
truth.parquet    item_id, label                   optional: without it accuracy is unknown
meta.json        labels                           optional: their order
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cluster.domain.items import Modality
from cluster.domain.labels import Label, LabelSet
from cluster.errors import EmptySource, MissingColumn, UnreadableSource
from serve_apps.prelabel.model import Content

Codes = npt.NDArray[np.int64]

LABELS_MAX = 200
"""More distinct labels than this are taken for numbers or free text, which have no classes."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Recording:
    """Items that were answered, in a fixed order, and every first answer of a worker to an item.

    `items`, `workers` and `labels` are parallel codes of the answers; `truth` (n_items,) is -1
    where there is no reference. `contents` is None where the folder has no items.
    """

    name: str
    label_set: LabelSet
    item_ids: tuple[str, ...]
    worker_ids: tuple[str, ...]
    items: Codes
    workers: Codes
    labels: Codes
    truth: Codes
    contents: tuple[Content, ...] | None
    modality: Modality

    def part(self, positions: Codes) -> "Recording":
        """Return the recording of some of its items, each once, and of all its workers."""
        place = np.full(len(self.item_ids), -1, dtype=np.int64)
        place[positions] = np.arange(len(positions))
        kept = place[self.items] >= 0
        return replace(
            self,
            item_ids=tuple(self.item_ids[position] for position in positions),
            items=place[self.items[kept]],
            workers=self.workers[kept],
            labels=self.labels[kept],
            truth=self.truth[positions],
            contents=None
            if self.contents is None
            else tuple(self.contents[position] for position in positions),
        )


def read_recording(folder: Path) -> Recording:
    """Read a folder; raises UnreadableSource, MissingColumn or EmptySource."""
    answers = _table(folder / "answers.parquet", ("item_id", "worker_id", "label"))
    if not answers.num_rows:
        raise EmptySource(str(folder / "answers.parquet"))
    answered = dict.fromkeys(_texts(answers, "item_id"))
    names = _label_names(answers, folder)
    codes = {name: code for code, name in enumerate(names)}
    contents, modality = _contents(folder, answered)
    item_ids = tuple(found for found in answered if contents is None or found in contents)
    positions = {item_id: position for position, item_id in enumerate(item_ids)}
    worker_ids = tuple(dict.fromkeys(_texts(answers, "worker_id")))
    worker_codes = {worker_id: code for code, worker_id in enumerate(worker_ids)}
    rows = {
        (positions[item], worker_codes[worker]): codes[label]
        for item, worker, label in reversed(list(zip(*_answer_columns(answers), strict=True)))
        if item in positions
    }
    pairs = np.array(list(rows), dtype=np.int64).reshape(-1, 2)
    return Recording(
        name=folder.resolve().name,
        label_set=LabelSet(tuple(Label(name) for name in names)),
        item_ids=item_ids,
        worker_ids=worker_ids,
        items=pairs[:, 0],
        workers=pairs[:, 1],
        labels=np.array(list(rows.values()), dtype=np.int64),
        truth=_truth(folder, positions, codes),
        contents=None if contents is None else tuple(contents[found] for found in item_ids),
        modality=modality,
    )


def _answer_columns(answers: pa.Table) -> tuple[list[str], list[str], list[str]]:
    return _texts(answers, "item_id"), _texts(answers, "worker_id"), _texts(answers, "label")


def _table(path: Path, columns: tuple[str, ...]) -> pa.Table:
    try:
        found = pq.read_schema(path).names
    except FileNotFoundError:
        raise UnreadableSource(str(path), "there is no such file") from None
    except (OSError, pa.ArrowInvalid):
        raise UnreadableSource(str(path), "it is not a Parquet file") from None
    for column in columns:
        if column not in found:
            raise MissingColumn(str(path), column, tuple(found))
    return pq.read_table(path, columns=list(columns))


def _texts(table: pa.Table, column: str) -> list[str]:
    values: list[str] = table[column].cast(pa.string()).to_pylist()
    return values


def _label_names(answers: pa.Table, folder: Path) -> list[str]:
    names = sorted(set(_texts(answers, "label")))
    kind = answers.schema.field("label").type
    if pa.types.is_floating(kind) or len(names) > LABELS_MAX:
        raise UnreadableSource(
            str(folder / "answers.parquet"),
            f"its labels are numbers or free text ({len(names)} distinct values), not classes",
        )
    if len(names) < 2:
        raise UnreadableSource(
            str(folder / "answers.parquet"), "its answers hold fewer than two distinct labels"
        )
    return names


def _contents(
    folder: Path, answered: dict[str, None]
) -> tuple[dict[str, Content] | None, Modality]:
    path = folder / "items.parquet"
    if not path.exists():
        return None, "text"
    names = _table(path, ("item_id",)).column_names and pq.read_schema(path).names
    column: Modality = "image" if "image" in names else "text"
    table = _table(path, ("item_id", column))
    kept: dict[str, Content] = {
        item_id: content
        for item_id, content in zip(
            _texts(table, "item_id"), table[column].to_pylist(), strict=True
        )
        if item_id in answered
    }
    return kept, column


def _truth(folder: Path, positions: dict[str, int], codes: dict[str, int]) -> Codes:
    truth = np.full(len(positions), -1, dtype=np.int64)
    path = folder / "truth.parquet"
    if path.exists():
        table = _table(path, ("item_id", "label"))
        for item_id, label in zip(_texts(table, "item_id"), _texts(table, "label"), strict=True):
            if item_id in positions:
                truth[positions[item_id]] = codes.get(label, -1)
    return truth
