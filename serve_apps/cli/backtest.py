"""`muster backtest`: what an accuracy would have cost on a recorded crowd."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table

from cluster.domain.jobs import RecipeName
from cluster.errors import BadInput

if TYPE_CHECKING:
    from serve_apps.backtest.replay import BacktestResult, FrontierPoint

FRONTIER_ROWS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What `--json` prints; the keys it shares with `muster aggregate` mean the same there.

    `accuracy` is over the items with a reference label, null without any. `answers_per_item`
    counts every answer bought, audits included. `auto_share` is the share of items whose label
    the model decided without any answer towards it, `auto_accuracy` their accuracy.
    `certified_accuracy` is the lower bound at `confidence` for all labels, from `audited` items.
    `frontier` holds [answers an item, accuracy, expected accuracy, certified accuracy] after each
    refit.
    """

    accuracy: float | None
    answers_per_item: float
    auto_share: float
    certified_accuracy: float
    items: int
    seed: int
    target_accuracy: float
    expected_accuracy: float
    confidence: float
    audited: int
    audit_answers_per_item: float
    auto_accuracy: float | None
    answers: int
    trainings: int
    workers_paused: int
    frontier: tuple[tuple[float, float | None, float, float], ...]


def backtest(
    folder: Annotated[
        Path, typer.Argument(help="Folder with answers.parquet, and items and truth where known")
    ],
    target_accuracy: Annotated[
        float, typer.Option(min=0.01, max=0.999, help="Mean accuracy to reach")
    ],
    budget: Annotated[
        int | None, typer.Option(min=0, help="Answers that may be bought at most")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws the samples and who comes when")] = 0,
    recipe: Annotated[RecipeName, typer.Option(help="How models are trained")] = "auto",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Replay a recorded crowd: what would this accuracy have cost?"""
    from serve_apps.backtest import run  # noqa: PLC0415 - imports torch

    errors = Console(stderr=True)
    try:
        with errors.status("reading and encoding items") as status:
            result = run.backtest(
                run.prepare(folder, recipe),
                target_accuracy=target_accuracy,
                answers_max=budget,
                seed=seed,
                on_point=lambda point: _tell(status, point),
            )
    except BadInput as error:
        errors.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    summary = summarise(result, target_accuracy, seed)
    if as_json:
        typer.echo(json.dumps(asdict(summary)))
    else:
        Console().print(_table(summary), _frontier(summary))


def summarise(result: "BacktestResult", target_accuracy: float, seed: int) -> Summary:
    """Return the figures of a replay."""
    standing, overall = result.standing, result.certificate.overall
    return Summary(
        accuracy=result.accuracy,
        answers_per_item=standing.answers / result.items,
        auto_share=result.auto_share,
        certified_accuracy=overall.accuracy_lower,
        items=result.items,
        seed=seed,
        target_accuracy=target_accuracy,
        expected_accuracy=standing.expected_accuracy,
        confidence=result.certificate.confidence,
        audited=overall.audited,
        audit_answers_per_item=standing.audit_answers / result.items,
        auto_accuracy=result.auto_accuracy,
        answers=standing.answers,
        trainings=result.frontier[-1].trainings,
        workers_paused=standing.paused,
        frontier=tuple(
            (
                point.answers_per_item,
                point.accuracy,
                point.expected_accuracy,
                point.certified_accuracy,
            )
            for point in result.frontier
        ),
    )


def _tell(status: Status, point: "FrontierPoint") -> None:
    status.update(
        f"{point.answers_per_item:.2f} answers an item, "
        f"expected accuracy {point.expected_accuracy:.3f}, {point.trainings} trainings"
    )


def _table(summary: Summary) -> Table:
    shown = Table(title="Backtest", show_header=False)
    shown.add_row("items", f"{summary.items:,}")
    shown.add_row("target accuracy", f"{summary.target_accuracy:.3f}")
    shown.add_row("accuracy against the reference", _share(summary.accuracy))
    shown.add_row("accuracy expected by the service", f"{summary.expected_accuracy:.3f}")
    shown.add_row(
        f"accuracy certified at {summary.confidence:.0%}",
        f"{summary.certified_accuracy:.3f} by {summary.audited:,} audited items",
    )
    shown.add_row(
        "answers an item",
        f"{summary.answers_per_item:.2f}, of these {summary.audit_answers_per_item:.2f} audits",
    )
    shown.add_row(
        "labelled by the model alone",
        f"{summary.auto_share:.1%}, with accuracy {_share(summary.auto_accuracy)}",
    )
    shown.add_row("models trained", f"{summary.trainings}")
    shown.add_row("workers paused", f"{summary.workers_paused}")
    return shown


def _frontier(summary: Summary) -> Table:
    shown = Table("answers an item", "accuracy", "expected", "certified", title="Frontier")
    points = summary.frontier
    rows = {round(at * (len(points) - 1) / (FRONTIER_ROWS - 1)) for at in range(FRONTIER_ROWS)}
    for row in sorted(rows):
        answers, accuracy, expected, certified = points[row]
        shown.add_row(f"{answers:.2f}", _share(accuracy), f"{expected:.3f}", f"{certified:.3f}")
    return shown


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
