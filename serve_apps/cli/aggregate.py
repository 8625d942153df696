"""`muster aggregate`: one label an item out of a table of answers, without a service."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import typer
from pyarrow import csv, parquet
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

WORKERS_SHOWN = 3
WORKER_ANSWERS_MIN = 5
"""Fewer answers than this say too little about a worker to be shown first or last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What `--json` prints; the keys it shares with a job's report mean the same there.

    `accuracy` is over `truth_items`, the answered items with a reference label, and null without
    any. Nothing is labelled by a model, certified or random here: `auto_share` is 0,
    `certified_accuracy` null and `seed` 0.
    """

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
    truth: Annotated[
        Path | None, typer.Option(help="Reference labels; a folder's own truth.* by default")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", "-m", help=f"One of {', '.join(METHODS)}")
    ] = DEFAULT_METHOD,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the labels as .csv, .jsonl or .parquet"),
    ] = None,
    item_column: Annotated[str | None, typer.Option(help="Where not item_id, task, ...")] = None,
    worker_column: Annotated[str | None, typer.Option(help="Where not worker_id, ...")] = None,
    label_column: Annotated[str | None, typer.Option(help="Where not label, answer, ...")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Infer one label an item from many workers' answers, and how good the workers are."""
    try:
        if method not in METHODS:
            raise InvalidField("method", f"{method} is none of {', '.join(METHODS)}")
        if output is not None:
            _output_format(output)
        names = ColumnNames(item=item_column, worker=worker_column, label=label_column)
        table = read_answers(answers, names)
        reference = truth or truth_beside(answers)
        known = None if reference is None else read_truth(reference, table)
        fit = METHODS[method](table.votes)
        if output is not None:
            _write(output, table, fit)
    except BadInput as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    summary = summarise(table, known, fit, method)
    if as_json:
        typer.echo(json.dumps(asdict(summary)))
    else:
        Console().print(_table(table, known, fit, summary))


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


def _output_format(path: Path) -> Literal[".csv", ".jsonl", ".parquet"]:
    if not path.parent.is_dir():
        raise InvalidField("output", f"there is no folder {path.parent}")
    for known in (".csv", ".jsonl", ".parquet"):
        if path.suffix == known:
            return known
    raise InvalidField("output", f"{path.name} must end in .csv, .jsonl or .parquet")


def _write(path: Path, table: AnswerTable, fit: Fit) -> None:
    """Write item_id, label, probability and answers, one row an item."""
    rows = pa.table(
        {
            "item_id": list(table.item_ids),
            "label": [table.label_names[code] for code in fit.labels()],
            "probability": fit.posterior.max(axis=1),
            "answers": table.votes.answers_per_item(),
        }
    )
    match _output_format(path):
        case ".csv":
            csv.write_csv(rows, path)
        case ".parquet":
            parquet.write_table(rows, path)
        case ".jsonl":
            lines = (json.dumps(row, ensure_ascii=False) for row in rows.to_pylist())
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
