"""`muster aggregate` of comparisons: one strength an item, strongest first."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.table import Table
from scipy.stats import kendalltau

from allocation.quality.methods import DEFAULT_PAIR_METHOD, PAIR_METHODS
from allocation.quality.pairs import PairFit, agreement
from cluster.errors import InvalidField
from serve_apps.answer_tables import ColumnNames
from serve_apps.cli.inferred import Inferred, chosen
from serve_apps.structured_tables import PairTable, read_item_values, read_pairs

SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSummary:
    """What `--json` prints of comparisons.

    `agreement` is the share of comparisons that the strengths agree with; `rank_correlation`,
    Kendall's tau with the reference values, is over `truth_items` and null below two.
    """

    kind: str = "pairs"
    method: str
    agreement: float
    rank_correlation: float | None
    truth_items: int
    comparisons_per_item: float
    items: int
    comparisons: int
    workers: int
    iterations: int
    seed: int = 0


def aggregate_pairs(
    answers: Path, truth: Path | None, method: str | None, names: ColumnNames
) -> Inferred:
    """Return how strong the items of a table of comparisons are. Raises a leaf of BadInput."""
    if names.item is not None:
        raise InvalidField("item-column", "a comparison names its items in left and right")
    name = chosen(method, DEFAULT_PAIR_METHOD, tuple(PAIR_METHODS), "pairs")
    table = read_pairs(answers, names)
    known = {} if truth is None else read_item_values(truth)
    fit = PAIR_METHODS[name](table.pairs)
    summary = _summarise(table, known, fit, name)
    order = np.argsort(-fit.strength, kind="stable")
    counts = np.bincount(
        np.concatenate([table.pairs.winners, table.pairs.losers]), minlength=len(table.item_ids)
    )
    rows = pa.table(
        {
            "item_id": [table.item_ids[at] for at in order],
            "strength": fit.strength[order],
            "comparisons": counts[order],
        }
    )
    return Inferred(figures=summary, shown=_shown(table, fit, summary), rows=lambda: rows)


def _summarise(table: PairTable, truth: dict[str, float], fit: PairFit, method: str) -> PairSummary:
    at = [place for place, item in enumerate(table.item_ids) if item in truth]
    values = [truth[table.item_ids[place]] for place in at]
    tau = float(kendalltau(fit.strength[at], values).statistic) if len(at) > 1 else np.nan
    pairs = table.pairs
    return PairSummary(
        method=method,
        agreement=agreement(pairs, fit.strength),
        rank_correlation=tau if np.isfinite(tau) else None,
        truth_items=len(at),
        comparisons_per_item=2 * len(pairs) / pairs.n_items,
        items=pairs.n_items,
        comparisons=len(pairs),
        workers=pairs.n_workers,
        iterations=fit.iterations,
    )


def _shown(table: PairTable, fit: PairFit, summary: PairSummary) -> Table:
    shown = Table(show_header=False)
    shown.add_row("kind", summary.kind)
    shown.add_row("method", f"{summary.method}, {summary.iterations} iterations")
    for name in ("items", "comparisons", "workers"):
        shown.add_row(name, f"{getattr(summary, name):,}")
    shown.add_row("agreement", f"{summary.agreement:.4f}")
    if summary.truth_items:
        tau = summary.rank_correlation
        found = "unknown" if tau is None else f"{tau:.4f}"
        shown.add_row("rank correlation", f"{found} over {summary.truth_items:,} items")
    ranked = np.argsort(-fit.strength, kind="stable")
    for title, few in (("strongest items", ranked), ("weakest items", ranked[::-1])):
        lines = [f"{table.item_ids[at]}  {fit.strength[at]:+.3f}" for at in few[:SHOWN]]
        shown.add_row(title, "\n".join(lines))
    doubtful = np.argsort(fit.reliability, kind="stable")[:SHOWN]
    lines = [f"{table.worker_ids[at]}  {fit.reliability[at]:.3f}" for at in doubtful]
    shown.add_row("least reliable workers", "\n".join(lines))
    return shown
