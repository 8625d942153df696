"""`muster aggregate`: one answer an item out of a table of answers, without a service."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import numpy as np
import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from allocation.quality.methods import DEFAULT_METHOD, METHODS
from allocation.quality.votes import Fit, Floats
from cluster.errors import BadInput, InvalidField
from serve_apps.answer_tables import (
    AnswerTable,
    ColumnNames,
    TruthTable,
    read_answers,
    read_truth,
    truth_beside,
)
from serve_apps.cli.inferred import Inferred, chosen, output_format, write
from serve_apps.cli.judged import Judged, judge, worker_rows
from serve_apps.structured_tables import Kind, kind_of

Aggregation = Callable[[Path, Path | None, str | None, ColumnNames], Inferred]

PLACES: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.NUMBERS: "aggregate_numbers:aggregate_numbers",
        Kind.TEXTS: "aggregate_texts:aggregate_texts",
        Kind.PAIRS: "aggregate_pairs:aggregate_pairs",
        Kind.SPANS: "aggregate_regions:aggregate_spans",
        Kind.BOXES: "aggregate_regions:aggregate_boxes",
    }
)

WORKERS_SHOWN = 3
WORKER_ANSWERS_MIN = 5
"""Fewer answers than this say too little about a worker to be shown first or last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What `--json` prints of classes; the keys it shares with a job's report mean the same there.

    `accuracy` is over `truth_items`, the answered items with a reference label, and null without
    any. Nothing is labelled by a model, certified or random here: `auto_share` is 0,
    `certified_accuracy` null and `seed` 0.
    """

    kind: str = "classes"
    method: str
    accuracy: float | None
    truth_items: int
    answers_per_item: float
    auto_share: float = 0.0
    certified_accuracy: float | None = None
    items: int
    answers: int
    workers: int
    classes: int
    iterations: int
    seed: int = 0


def aggregate(
    answers: Annotated[
        Path,
        typer.Argument(help="CSV, JSON Lines or Parquet with item, worker and label; or a folder"),
    ],
    kind: Annotated[
        Kind | None, typer.Option(help="What the answers are; the columns say it by default")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Reference labels; a folder's own truth.* by default")
    ] = None,
    method: Annotated[
        str | None, typer.Option("--method", "-m", help=f"For classes {', '.join(METHODS)}")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the results as .csv, .jsonl or .parquet"),
    ] = None,
    workers_out: Annotated[
        Path | None, typer.Option(help="Write what classes tell of each worker, like --output")
    ] = None,
    item_column: Annotated[str | None, typer.Option(help="Where not item_id, task, ...")] = None,
    worker_column: Annotated[str | None, typer.Option(help="Where not worker_id, ...")] = None,
    label_column: Annotated[str | None, typer.Option(help="Where not label, answer, ...")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Infer one answer an item from many workers' answers, and how good the workers are."""
    try:
        for path in filter(None, (output, workers_out)):
            output_format(path)
        names = ColumnNames(item=item_column, worker=worker_column, label=label_column)
        taken = kind or kind_of(answers, names)
        found = _aggregation(taken)(answers, truth or truth_beside(answers), method, names)
        if output is not None:
            write(found.rows(), output)
        if workers_out is not None:
            write(_workers(found, taken), workers_out)
    except BadInput as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps(asdict(found.figures)))
    else:
        Console().print(found.shown)


def aggregate_classes(
    answers: Path, truth: Path | None, method: str | None, names: ColumnNames
) -> Inferred:
    """Return the labels of a table of classes. Raises a leaf of BadInput."""
    name = chosen(method, DEFAULT_METHOD, tuple(METHODS), "classes")
    table = read_answers(answers, names)
    known = None if truth is None else read_truth(truth, table)
    fit = METHODS[name](table.votes)
    summary = summarise(table, known, fit, name)
    judged = cache(partial(judge, table.votes))
    return Inferred(
        figures=summary,
        shown=_table(table, known, fit, summary),
        rows=lambda: _item_rows(table, fit, judged()),
        workers=lambda: worker_rows(table, judged()),
    )


def _item_rows(table: AnswerTable, fit: Fit, judged: Judged) -> pa.Table:
    return pa.table(
        {
            "item_id": list(table.item_ids),
            "label": [table.label_names[code] for code in fit.labels()],
            "probability": fit.posterior.max(axis=1),
            "answers": table.votes.answers_per_item(),
            "difficulty": judged.difficulty,
        }
    )


def _workers(found: Inferred, kind: Kind) -> pa.Table:
    if found.workers is None:
        raise InvalidField("workers-out", f"workers are judged by classes, not by {kind}")
    return found.workers()


def _aggregation(kind: Kind) -> Aggregation:
    """Return what aggregates a kind; it is imported here, for some bring a lot."""
    if kind is Kind.CLASSES:
        return aggregate_classes
    module, _, function = PLACES[kind].partition(":")
    aggregation: Aggregation = getattr(import_module(f"{__package__}.{module}"), function)
    return aggregation


def summarise(table: AnswerTable, truth: TruthTable | None, fit: Fit, method: str) -> Summary:
    """Return the figures of a fit."""
    votes = table.votes
    return Summary(
        method=method,
        accuracy=None if truth is None else truth.accuracy(fit.labels()),
        truth_items=0 if truth is None else truth.known,
        answers_per_item=len(votes) / votes.n_items,
        items=votes.n_items,
        answers=len(votes),
        workers=votes.n_workers,
        classes=votes.n_labels,
        iterations=fit.iterations,
    )


def worker_accuracy(table: AnswerTable, fit: Fit) -> Floats:
    """Return the share of each worker's answers believed right, (workers,)."""
    votes = table.votes
    right = fit.posterior[votes.items, votes.labels]
    total = np.bincount(votes.workers, weights=right, minlength=votes.n_workers)
    return np.asarray(total / votes.answers_per_worker())


def _table(table: AnswerTable, truth: TruthTable | None, fit: Fit, summary: Summary) -> Table:
    shown = Table(show_header=False)
    whole = all(name.lstrip("+-").isdecimal() for name in table.label_names)
    hint = " (whole numbers; --kind numbers takes them as amounts)" if whole else ""
    shown.add_row("kind", f"{summary.kind}{hint}")
    shown.add_row("method", f"{summary.method}, {summary.iterations} iterations")
    for name in ("items", "answers", "workers", "classes"):
        shown.add_row(name, f"{getattr(summary, name):,}")
    shown.add_row("answers per item", f"{summary.answers_per_item:.2f}")
    if truth is not None:
        found = "unknown" if summary.accuracy is None else f"{summary.accuracy:.4f}"
        items = f"{truth.known:,} answered of {truth.rows:,} items with a reference label"
        shown.add_row("accuracy", f"{found} over {items}")
    accuracy, answers = worker_accuracy(table, fit), table.votes.answers_per_worker()
    judged = np.flatnonzero(answers >= min(WORKER_ANSWERS_MIN, answers.max()))
    ranked = judged[np.argsort(-accuracy[judged], kind="stable")]
    for title, few in (("best workers", ranked), ("worst workers", ranked[::-1])):
        lines = [
            f"{table.worker_ids[worker]}  {accuracy[worker]:.3f} of {answers[worker]:,}"
            for worker in few[:WORKERS_SHOWN]
        ]
        shown.add_row(title, "\n".join(lines))
    return shown
