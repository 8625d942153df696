"""Recorded data sets as the demo's input: real items and what real workers once said of them.

A folder holds `items.parquet(item_id, text | image)`, `answers.parquet(item_id, worker_id, label)`,
`truth.parquet(item_id, label)` and `meta.json` (`name`, `labels`). Items that nobody answered are
left out; of items with the same content the first stays.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cluster.domain.items import Modality
from cluster.domain.labels import Label, LabelSet
from examples.demo.crowd import Codes
from examples.demo.dataset import DemoDataset, DemoItem
from examples.demo.decks import keys_of

BASE_MODELS: Mapping[Modality, str] = {"text": "minilm", "image": "resnet"}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Recording:
    """Answers as flat arrays: `items` indexes `keys` (contents), `workers` indexes `names`.

    `truth` holds each item's label code, -1 where unknown.
    """

    label_names: tuple[str, ...]
    keys: tuple[str, ...]
    truth: Codes
    names: tuple[str, ...]
    items: Codes
    workers: Codes
    labels: Codes

    def votes(self) -> Codes:
        """Return the answers as a table (most answers of an item, items), -1 where none."""
        order = np.argsort(self.items, kind="stable")
        sorted_items = self.items[order]
        counts = np.bincount(self.items, minlength=len(self.keys))
        place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        table = np.full((int(counts.max()), len(self.keys)), -1, dtype=np.int64)
        table[place, sorted_items] = self.labels[order]
        return table

    def answers_per_item(self) -> npt.NDArray[np.int64]:
        """Return how often each item was answered, (items,)."""
        return np.bincount(self.items, minlength=len(self.keys)).astype(np.int64)


def load_recorded(folder: Path, items_max: int, seed: int) -> tuple[DemoDataset, Recording]:
    """Return up to `items_max` randomly chosen items of a folder, and the answers to them.

    Raises OSError or pyarrow's ArrowInvalid where a file is missing or is not what it should be.
    """
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    items = pq.read_table(folder / "items.parquet")
    answers = pq.read_table(folder / "answers.parquet", columns=["item_id", "worker_id", "label"])
    modality: Modality = "text" if "text" in items.column_names else "image"
    items = items.filter(pc.is_in(items["item_id"], pc.unique(answers["item_id"])))
    kept = _chosen(items[modality].to_pylist(), items_max, seed)
    items = items.take(pa.array(kept))
    label_set = LabelSet(tuple(Label(str(name)) for name in meta["labels"]))
    dataset = DemoDataset(
        name=str(meta["name"]),
        title=str(meta["name"]).replace("_", " "),
        modality=modality,
        label_set=label_set,
        items=_items(items, modality, pq.read_table(folder / "truth.parquet")),
        instructions=str(meta.get("task_kind", "")),
        base_model=BASE_MODELS[modality],
    )
    return dataset, _recording(dataset, answers)


def save_recording(recording: Recording, path: Path) -> None:
    """Write a recording for the process that replays it."""
    np.savez(
        path,
        label_names=np.array(recording.label_names),
        keys=np.array(recording.keys),
        truth=recording.truth,
        names=np.array(recording.names),
        items=recording.items,
        workers=recording.workers,
        labels=recording.labels,
    )


def load_recording(path: Path) -> Recording:
    """Read what `save_recording` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return Recording(
            label_names=tuple(map(str, stored["label_names"])),
            keys=tuple(map(str, stored["keys"])),
            truth=stored["truth"],
            names=tuple(map(str, stored["names"])),
            items=stored["items"],
            workers=stored["workers"],
            labels=stored["labels"],
        )


def _chosen(contents: list[str | bytes], items_max: int, seed: int) -> list[int]:
    """Return the rows to keep, in order: the first of equal contents, then a random sample."""
    first = {content: row for row, content in reversed(list(enumerate(contents)))}
    rows = np.array(sorted(first.values()))
    if len(rows) > items_max:
        rows = np.sort(np.random.default_rng(seed).choice(rows, items_max, replace=False))
    return [int(row) for row in rows]


def _items(items: pa.Table, modality: Modality, truth: pa.Table) -> tuple[DemoItem, ...]:
    gold = dict(zip(truth["item_id"].to_pylist(), truth["label"].to_pylist(), strict=True))
    pairs = zip(items["item_id"].to_pylist(), items[modality].to_pylist(), strict=True)
    return tuple(
        DemoItem(item_id=str(item_id), content=content, gold=gold.get(item_id))
        for item_id, content in pairs
    )


def _recording(dataset: DemoDataset, answers: pa.Table) -> Recording:
    ids = pa.array([item.item_id for item in dataset.items])
    answers = answers.filter(pc.is_in(answers["item_id"].cast(ids.type), ids))
    names = pc.unique(answers["worker_id"])
    label_names = pa.array(dataset.label_set.names)
    return Recording(
        label_names=dataset.label_set.names,
        keys=keys_of(item.content for item in dataset.items),
        truth=np.array(dataset.gold_codes, dtype=np.int64),
        names=tuple(names.to_pylist()),
        items=_index(answers["item_id"].cast(ids.type), ids),
        workers=_index(answers["worker_id"], names),
        labels=_index(answers["label"].cast(label_names.type), label_names),
    )


def _index(values: pa.ChunkedArray, known: pa.Array) -> Codes:
    codes: Codes = pc.index_in(values, known).to_numpy().astype(np.int64)
    return codes
