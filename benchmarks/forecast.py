"""`python -m benchmarks.forecast`: forecasts from pilots, beside what the rest then needed.

From every crowd below `--data` (or MUSTER_DATA) a pilot of 200 items (half of them where there are
fewer) with at most 5 answers each is drawn, without reference labels. What `muster forecast` says
of the answers an item a goal takes is compared with replays of all other items.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, informing, present
from cluster.domain.jobs import CrowdTerms
from serve_apps.backtest.recording import Recording
from serve_apps.backtest.run import Prepared, backtest, prepare
from serve_apps.forecast.outlook import (
    OUT_OF_REACH,
    Outlook,
    Plan,
    forecast,
    label_answers,
    reached,
)
from serve_apps.forecast.pilot import Pilot

CROWDS = ("truth/d_possent", "truth/dog", "truth/snow_temp", "truth/sp_amt")
GOALS = (0.8, 0.85, 0.9, 0.93)
PILOT_ITEMS, PILOT_ANSWERS = 200, 5
CROWD = CrowdTerms(answers_per_item_max=10)
REPLAYS, REPLICATES = 3, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A goal, what was forecast for it, and what replays took: mean answers and accuracy."""

    crowd: str
    outlook: Outlook
    answers: float | None
    accuracy: float | None


def trials(folder: Path, seed: int) -> Iterator[Trial]:
    """Yield a trial for each goal, of one pilot drawn by the seed."""
    recording, rng = prepare(folder).recording, np.random.default_rng(seed)
    order = rng.permutation(len(recording.item_ids))
    items = min(PILOT_ITEMS, len(order) // 2)
    pilot = part(recording, order[:items], PILOT_ANSWERS, rng)
    blind = replace(pilot, truth=np.full(items, -1))
    rest = Prepared(recording=part(recording, order[items:], None, rng), learner=None)
    outlooks = forecast(
        Pilot.of(Prepared(recording=blind, learner=None)),
        Plan(items=len(order) - items),
        GOALS,
        crowd=CROWD,
        replicates=REPLICATES,
        seed=seed,
    )
    frontiers = [
        backtest(rest, target_accuracy=OUT_OF_REACH, answers_max=None, seed=run, crowd=CROWD)
        for run in range(REPLAYS)
    ]
    for outlook in outlooks:
        found = [reached(outlook.goal, each.frontier) for each in frontiers]
        there = [point for point in found if point is not None]
        whole = len(there) == len(found)
        yield Trial(
            crowd=folder.name,
            outlook=outlook,
            answers=float(np.mean([label_answers(point) for point in there])) if whole else None,
            accuracy=float(np.mean([point.accuracy or 0.0 for point in there])) if whole else None,
        )


def part(
    recording: Recording,
    items: npt.NDArray[np.int64],
    answers_max: int | None,
    rng: np.random.Generator,
) -> Recording:
    """Return some items of a recording, with at most so many answers each, drawn at random."""
    place = np.full(len(recording.item_ids), -1)
    place[items] = np.arange(len(items))
    rows = rng.permutation(np.flatnonzero(place[recording.items] >= 0))
    if answers_max is not None:
        rows = rows[np.argsort(recording.items[rows], kind="stable")]
        counts = np.bincount(recording.items[rows], minlength=len(place))
        rank = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = rows[rank < answers_max]
    return replace(
        recording,
        item_ids=tuple(recording.item_ids[item] for item in items),
        items=place[recording.items[rows]],
        workers=recording.workers[rows],
        labels=recording.labels[rows],
        truth=recording.truth[items],
        contents=None,
    )


def figures(found: Sequence[Trial]) -> Iterator[Figure]:
    """Yield how near forecasts were, where both forecast and replays got to the goal."""
    ratios, held, off = [], [], []
    for trial in found:
        told = trial.outlook.answers_per_item
        if trial.answers is not None:
            low, high = told.low or np.inf, told.high or np.inf
            held.append(low <= trial.answers <= high)
            if told.middle is not None and trial.accuracy is not None:
                ratios.append(told.middle / trial.answers)
                off.append((trial.outlook.accuracy.middle or 0.0) - trial.accuracy)
    yield informing("goals the replays reached", len(held), "of them")
    yield informing("forecast by what was needed, median", float(np.median(ratios)), "x")
    yield informing("nine in ten lie above", float(np.quantile(ratios, 0.1)), "x")
    yield informing("nine in ten lie below", float(np.quantile(ratios, 0.9)), "x")
    yield informing("interval (90 %) holds what was needed", float(np.mean(held)), "share")
    yield informing("accuracy forecast above reached", 100.0 * float(np.mean(off)), "points")


def table(found: Sequence[Trial]) -> Table:
    """Return every trial, a row each."""
    drawn = Table(title="answers an item", title_justify="left")
    for column in ("crowd", "goal", "forecast", "needed", "accuracy forecast", "reached"):
        drawn.add_column(column, justify="right")
    for trial in found:
        told, accuracy = trial.outlook.answers_per_item, trial.outlook.accuracy
        drawn.add_row(
            trial.crowd,
            f"{trial.outlook.goal:g}",
            f"{_said(told.middle)} ({_said(told.low)} – {_said(told.high)})",
            _said(trial.answers),
            _said(accuracy.middle, 3),
            _said(trial.accuracy, 3),
        )
    return drawn


def _said(value: float | None, digits: int = 2) -> str:
    return "never" if value is None else f"{value:.{digits}f}"


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    folder = os.environ.get("MUSTER_DATA")
    parser.add_argument("--data", type=Path, default=folder, required=folder is None)
    parser.add_argument("--pilots", type=int, default=3, help="pilots drawn from each crowd")
    asked, console = parser.parse_args(), Console(width=120)
    found = [
        trial
        for name in CROWDS
        for seed in range(asked.pilots)
        for trial in trials(asked.data / name, seed)
    ]
    console.print(table(found))
    present("forecast", list(figures(found)), console)


if __name__ == "__main__":
    main()
