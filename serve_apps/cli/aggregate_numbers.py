"""`muster aggregate` of numbers: one value an item, with an interval."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.table import Table

from allocation.quality.methods import DEFAULT_NUMERIC_METHOD, NUMERIC_METHODS
from allocation.quality.numeric import NumericFit
from serve_apps.answer_tables import ColumnNames
from serve_apps.cli.inferred import Inferred, chosen
from serve_apps.structured_tables import (
    NumberTable,
    NumberTruth,
    read_number_truth,
    read_numbers,
)

WORKERS_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSummary:
    """What `--json` prints of numbers.

    `mae`, `rmse` and `interval_coverage`, the share of 95 % intervals that hold the reference
    value, are over `truth_items`, and null without any.
    """

    kind: str = "numbers"
    method: str
    mae: float | None
    rmse: float | None
    interval_coverage: float | None
    truth_items: int
    answers_per_item: float
    items: int
    answers: int
    answers_set_aside: int
    workers: int
    iterations: int
    seed: int = 0


def aggregate_numbers(
    answers: Path, truth: Path | None, method: str | None, names: ColumnNames
) -> Inferred:
    """Return what the items of a table of numbers are. Raises a leaf of BadInput."""
    name = chosen(method, DEFAULT_NUMERIC_METHOD, tuple(NUMERIC_METHODS), "numbers")
    table = read_numbers(answers, names)
    known = None if truth is None else read_number_truth(truth, table)
    fit = NUMERIC_METHODS[name](table.numbers)
    summary = summarise(table, known, fit, name)
    rows = pa.table(
        {
            "item_id": list(table.item_ids),
            "value": fit.estimate,
            "standard_error": fit.standard_error,
            "lower": fit.lower,
            "upper": fit.upper,
            "answers": table.numbers.answers_per_item(),
        }
    )
    return Inferred(figures=summary, shown=_shown(table, known, fit, summary), rows=lambda: rows)


def summarise(
    table: NumberTable, truth: NumberTruth | None, fit: NumericFit, method: str
) -> NumberSummary:
    """Return the figures of a fit."""
    numbers = table.numbers
    values = np.full(numbers.n_items, np.nan) if truth is None else truth.values
    known = ~np.isnan(values)
    error = (fit.estimate - values)[known]
    held = ((fit.lower <= values) & (values <= fit.upper))[known]
    return NumberSummary(
        method=method,
        mae=float(np.abs(error).mean()) if known.any() else None,
        rmse=float(np.sqrt((error**2).mean())) if known.any() else None,
        interval_coverage=float(held.mean()) if known.any() else None,
        truth_items=int(known.sum()),
        answers_per_item=len(numbers) / numbers.n_items,
        items=numbers.n_items,
        answers=len(numbers),
        answers_set_aside=int(fit.set_aside.sum()),
        workers=numbers.n_workers,
        iterations=fit.iterations,
    )


def _shown(
    table: NumberTable, truth: NumberTruth | None, fit: NumericFit, summary: NumberSummary
) -> Table:
    shown = Table(show_header=False)
    shown.add_row("kind", summary.kind)
    shown.add_row("method", f"{summary.method}, {summary.iterations} iterations")
    for name in ("items", "answers", "workers"):
        shown.add_row(name, f"{getattr(summary, name):,}")
    shown.add_row("answers per item", f"{summary.answers_per_item:.2f}")
    shown.add_row("answers set aside", f"{summary.answers_set_aside:,}")
    shown.add_row("median standard error", f"{np.median(fit.standard_error):.4g}")
    if truth is not None:
        over = f"over {summary.truth_items:,} answered of {truth.rows:,} items with a reference"
        shown.add_row("mean absolute error", f"{_figure(summary.mae)} {over}")
        shown.add_row("root mean squared error", _figure(summary.rmse))
        shown.add_row("95 % intervals that hold", _figure(summary.interval_coverage))
    ranked = np.argsort(fit.deviation, kind="stable")
    for title, few in (("closest workers", ranked), ("furthest workers", ranked[::-1])):
        lines = [
            f"{table.worker_ids[worker]}  deviation {fit.deviation[worker]:.3g} "
            f"({fit.deviation_lower[worker]:.3g} to {fit.deviation_upper[worker]:.3g}), "
            f"bias {fit.bias[worker]:+.3g} ± {fit.bias_error[worker]:.2g}"
            for worker in few[:WORKERS_SHOWN]
        ]
        shown.add_row(title, "\n".join(lines))
    return shown


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
