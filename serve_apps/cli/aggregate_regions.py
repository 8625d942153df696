"""`muster aggregate` of spans of texts and of boxes in images, by crowd-kit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.table import Table

from allocation.quality.votes import Codes
from cluster.errors import InvalidField
from serve_apps.answer_tables import ColumnNames
from serve_apps.cli.inferred import Inferred, chosen
from serve_apps.region_consensus import Consensus, consensus, groups
from serve_apps.region_tables import (
    BOXES,
    SPANS,
    RegionTable,
    Shape,
    read_region_truth,
    read_regions,
)
from serve_apps.regions import Corners, overlap

METHODS = ("rasa", "em", "majority")
NONE: Corners = np.empty((0, 4), dtype=np.int64)

Regions = Mapping[str, Corners]
"""Regions by their label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionSummary:
    """What `--json` prints of spans and of boxes.

    `iou`, the mean intersection over union of an item with its reference, `answer_iou`, the same of
    single answers, and `exact`, the share of items that have just the regions of the reference, are
    over `truth_items` and null without any.
    """

    kind: str
    method: str
    iou: float | None
    answer_iou: float | None
    exact: float | None
    truth_items: int
    regions: int
    answers_per_item: float
    items: int
    answers: int
    workers: int
    labels: int
    seed: int = 0


def aggregate_spans(
    answers: Path, truth: Path | None, method: str | None, names: ColumnNames
) -> Inferred:
    """Return the spans of each item of a table of spans. Raises a leaf of BadInput."""
    return _aggregate(SPANS, answers, truth, method, names)


def aggregate_boxes(
    answers: Path, truth: Path | None, method: str | None, names: ColumnNames
) -> Inferred:
    """Return the boxes of each item of a table of boxes. Raises a leaf of BadInput."""
    return _aggregate(BOXES, answers, truth, method, names)


def _aggregate(
    shape: Shape, answers: Path, truth: Path | None, method: str | None, names: ColumnNames
) -> Inferred:
    name = chosen(method, METHODS[0], METHODS, shape.name)
    table = read_regions(answers, shape, names)
    known = None if truth is None else read_region_truth(truth, shape)
    if known is not None and known.labelled != table.labelled and (known.labels >= 0).any():
        raise InvalidField("label", "either answers or references have labels, not both")
    found = list(consensus(table, shape, name))
    summary = _summarise(shape, table, known, found, name)
    return Inferred(
        figures=summary,
        shown=_shown(summary),
        rows=lambda: _rows(shape, table, found),
    )


def iou(one: Regions, other: Regions) -> float:
    """Return what two sets of regions share of all they cover, by label; 1 where both are empty."""
    pairs = [overlap(one.get(label, NONE), other.get(label, NONE)) for label in {**one, **other}]
    both, either = (sum(part) for part in zip(*pairs, strict=True)) if pairs else (0.0, 0.0)
    return both / either if either else 1.0


def _marked(table: RegionTable, rows: Codes) -> Regions:
    """Return what some rows of a table mark."""
    rows = rows[table.labels[rows] >= 0]
    return {
        table.label_names[label]: table.corners[rows[places]]
        for label, places in groups(table.labels[rows])
    }


def _is_same(one: Regions, other: Regions) -> bool:
    each, wanted = (
        {(label, *corner) for label, corners in of.items() for corner in corners.tolist()}
        for of in (one, other)
    )
    return each == wanted


def _summarise(
    shape: Shape,
    table: RegionTable,
    truth: RegionTable | None,
    found: Sequence[Consensus],
    method: str,
) -> RegionSummary:
    by_item = _by_item(table, found)
    known = {} if truth is None else _by_name(truth)
    ious, answer_ious, same = [], [], []
    for item, rows in groups(table.items):
        if (reference := known.get(table.item_ids[item])) is not None:
            crowd = [rows[places] for _, places in groups(table.workers[rows])]
            ious.append(iou(by_item[item], reference))
            answer_ious += [iou(_marked(table, answer), reference) for answer in crowd]
            same.append(_is_same(by_item[item], reference))
    answers = int(_answers_per_item(table).sum())
    return RegionSummary(
        kind=shape.name,
        method=method,
        iou=float(np.mean(ious)) if ious else None,
        answer_iou=float(np.mean(answer_ious)) if ious else None,
        exact=float(np.mean(same)) if ious else None,
        truth_items=len(ious),
        regions=sum(len(each.corners) for each in found),
        answers_per_item=answers / len(table.item_ids),
        items=len(table.item_ids),
        answers=answers,
        workers=len(table.worker_ids),
        labels=len(table.label_names) if table.labelled else 0,
    )


def _by_item(table: RegionTable, found: Iterable[Consensus]) -> list[dict[str, Corners]]:
    by_item: list[dict[str, Corners]] = [{} for _ in table.item_ids]
    for each in found:
        if len(each.corners):
            by_item[each.item][table.label_names[each.label]] = each.corners
    return by_item


def _by_name(truth: RegionTable) -> dict[str, Regions]:
    return {truth.item_ids[item]: _marked(truth, rows) for item, rows in groups(truth.items)}


def _rows(shape: Shape, table: RegionTable, found: Sequence[Consensus]) -> pa.Table:
    """Return a row a region, and one with nothing in it for an item that has none."""
    held = np.concatenate([np.full(len(each.corners), each.item) for each in found] or [NONE[:, 0]])
    empty = np.setdiff1d(np.arange(len(table.item_ids)), held)
    pad = np.zeros((len(empty), 4), dtype=np.int64)
    items = np.concatenate([held, empty]).astype(np.int64)
    corners = np.concatenate([*(each.corners for each in found), pad])
    agreement = np.concatenate([*(each.agreement for each in found), pad[:, 0]])
    labels = [table.label_names[each.label] for each in found for _ in each.corners]
    labels += [""] * len(empty)
    nothing = np.arange(len(items)) >= len(held)
    columns = {
        "item_id": pa.array([table.item_ids[item] for item in items]),
        **{name: pa.array(part, mask=nothing) for name, part in shape.fields(corners).items()},
        **({"label": pa.array(labels, pa.string(), mask=nothing)} if table.labelled else {}),
        "agreement": pa.array(agreement, mask=nothing),
        "answers": pa.array(_answers_per_item(table)[items]),
    }
    return pa.table(columns).take(np.lexsort([*corners.T[::-1], items]))


def _answers_per_item(table: RegionTable) -> Codes:
    """Return how many workers answered each item, (items,)."""
    pairs = np.unique(np.column_stack([table.items, table.workers]), axis=0)
    return np.bincount(pairs[:, 0], minlength=len(table.item_ids))


def _shown(summary: RegionSummary) -> Table:
    shown = Table(show_header=False)
    shown.add_row("kind", summary.kind)
    shown.add_row("method", summary.method)
    for name in ("items", "answers", "workers", "labels"):
        shown.add_row(name, f"{getattr(summary, name):,}")
    shown.add_row("answers per item", f"{summary.answers_per_item:.2f}")
    shown.add_row(f"{summary.kind} found", f"{summary.regions:,}")
    if summary.iou is not None:
        over = f"over {summary.truth_items:,} items with a reference"
        shown.add_row("intersection over union", f"{summary.iou:.4f} {over}")
        shown.add_row("that of single answers", f"{summary.answer_iou:.4f}")
        shown.add_row("equal to the reference", f"{summary.exact:.4f}")
    return shown
