"""`muster forecast`: what a whole job would cost, take and reach, told from a pilot."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from cluster.domain.jobs import CrowdTerms
from cluster.errors import BadInput

if TYPE_CHECKING:
    from serve_apps.forecast.outlook import Interval, Outlook

GOALS = (0.8, 0.85, 0.9, 0.925, 0.95, 0.975)


def forecast(
    folder: Annotated[
        Path, typer.Argument(help="The pilot: answers.parquet, and items and truth where known")
    ],
    items: Annotated[int, typer.Option(min=1, help="Items of the whole job")],
    target_accuracy: Annotated[
        list[float] | None, typer.Option(min=0.01, max=0.999, help="A goal; may be repeated")
    ] = None,
    price: Annotated[float, typer.Option(min=0.0, help="Price of one answer")] = 0.0,
    answer_s: Annotated[float, typer.Option(min=0.001, help="Seconds of work an answer")] = 10.0,
    workers: Annotated[float, typer.Option(min=0.001, help="Workers at work on average")] = 1.0,
    answers_per_item_max: Annotated[
        int, typer.Option(min=1, max=100, help="Answers to one item at most")
    ] = CrowdTerms().answers_per_item_max,
    replicates: Annotated[int, typer.Option(min=5, max=1_000, help="Crowds to simulate")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Draws the replicates")] = 0,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Forecast cost, time and accuracy of a job from a pilot of 200 to 500 answered items."""
    from serve_apps.backtest.run import prepare  # noqa: PLC0415 - imports torch
    from serve_apps.forecast.outlook import Plan, forecast  # noqa: PLC0415 - imports torch
    from serve_apps.forecast.pilot import Pilot  # noqa: PLC0415 - imports torch

    errors = Console(stderr=True)
    plan = Plan(items=items, price=price, answer_s=answer_s, workers=workers)
    try:
        with errors.status("reading and encoding items") as status:
            outlooks = forecast(
                Pilot.of(prepare(folder)),
                plan,
                sorted(set(target_accuracy or GOALS)),
                crowd=CrowdTerms(answers_per_item_max=answers_per_item_max),
                replicates=replicates,
                seed=seed,
                on_replicate=lambda done: status.update(f"{done} of {replicates} replicates"),
            )
    except BadInput as error:
        errors.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps({"plan": asdict(plan), "goals": [asdict(each) for each in outlooks]}))
    else:
        Console().print(_table(outlooks))


def _table(outlooks: Sequence["Outlook"]) -> Table:
    title = "Forecast: the median, and below it what holds nine of ten replicates"
    shown = Table(title=title, title_justify="left", show_lines=True)
    for column in ("goal", "reached in", "answers an item", "accuracy", "answers", "cost", "hours"):
        shown.add_column(column, justify="right")
    for each in outlooks:
        shown.add_row(
            f"{each.goal:.3f}",
            f"{each.reached_share:.0%}",
            _range(each.answers_per_item, ".2f"),
            _range(each.accuracy, ".3f"),
            _range(each.answers, ",.0f"),
            _range(each.cost, ",.2f"),
            _range(each.hours, ",.1f"),
        )
    return shown


def _range(interval: "Interval", form: str) -> str:
    low, middle, high = (
        "never" if value is None else format(value, form)
        for value in (interval.low, interval.middle, interval.high)
    )
    return middle if low == middle == high else f"{middle}\n{low} – {high}"
