"""`python -m benchmarks.numeric`: recorded and simulated crowds whose answers are numbers.

`--data` (or MUSTER_DATA) names a folder of recorded crowds with `truth/n_emotion/`. Every method
takes every crowd with one setting. The simulated crowds are drawn from fixed seeds: workers alike,
workers who differ in bias and spread, and those with slips or with hard items on top.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from allocation.quality.methods import DEFAULT_NUMERIC_METHOD, NUMERIC_METHODS
from allocation.quality.numeric import Numbers
from allocation.quality.votes import Floats
from benchmarks.figures import Figure, at_least, at_most, informing, present
from serve_apps.structured_tables import read_number_truth, read_numbers

RECORDED = ("n_emotion",)
SIMULATED = ("alike", "unlike", "slips", "hard items")
SEEDS = 5


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MeasuredCrowd:
    """Numbers and what is right, (items,)."""

    numbers: Numbers
    truth: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Mean absolute and root mean squared error, and the share of intervals that hold."""

    mae: float
    rmse: float
    coverage: float


Found = Mapping[str, Mapping[str, Errors]]
"""By crowd and method."""


def recorded(data_folder: Path, name: str) -> MeasuredCrowd:
    """Read a recorded crowd; items without a reference value are NaN in `truth`."""
    folder = data_folder / "truth" / name
    table = read_numbers(folder)
    return MeasuredCrowd(numbers=table.numbers, truth=read_number_truth(folder, table).values)


def simulated(name: str, seed: int) -> MeasuredCrowd:
    """Draw 200 items of 30 workers, five answers each; the truth has a deviation of 10."""
    rng = np.random.default_rng(seed)
    n_items, n_workers, per_item = 200, 30, 5
    truth = rng.normal(0.0, 10.0, n_items)
    unlike = 0.0 if name == "alike" else 1.0
    bias = unlike * rng.normal(0.0, 3.0, n_workers)
    deviation = 6.0 * np.exp(unlike * rng.normal(0.0, 0.6, n_workers))
    workers = rng.random((n_items, n_workers)).argsort(axis=1)[:, :per_item].ravel()
    items = np.repeat(np.arange(n_items), per_item)
    hard = np.exp(rng.normal(0.0, 0.7, n_items)) if name == "hard items" else np.ones(n_items)
    noise = rng.normal(size=len(items)) * deviation[workers] * hard[items]
    values = truth[items] + bias[workers] + noise
    if name == "slips":
        slipped = rng.random(len(items)) < 0.08
        values = np.where(slipped, rng.uniform(-30.0, 30.0, len(items)), values)
    numbers = Numbers.of(items, workers, values, n_items=n_items, n_workers=n_workers)
    return MeasuredCrowd(numbers=numbers, truth=truth)


def measure(crowds: Sequence[MeasuredCrowd]) -> dict[str, Errors]:
    """Return the mean errors of each method over crowds of one kind."""
    return {name: _mean([_errors(name, crowd) for crowd in crowds]) for name in NUMERIC_METHODS}


def figures(data_folder: Path) -> list[Figure]:
    """Return the errors of every method, and the default's by those of mean and median."""
    return _figures(_found(data_folder))


def _found(data_folder: Path) -> Found:
    found = {name: measure([recorded(data_folder, name)]) for name in RECORDED}
    for name in SIMULATED:
        found[name] = measure([simulated(name, seed) for seed in range(SEEDS)])
    return found


def _figures(found: Found) -> list[Figure]:
    listed: list[Figure] = []
    for crowd, methods in found.items():
        default = methods[DEFAULT_NUMERIC_METHOD]
        for method in ("mean", "median", DEFAULT_NUMERIC_METHOD):
            listed.append(informing(f"{crowd}: {method}, MAE", methods[method].mae, "unit"))
            listed.append(informing(f"{crowd}: {method}, RMSE", methods[method].rmse, "unit"))
        for method in ("mean", "median"):
            ratio = default.rmse / methods[method].rmse
            name = f"{crowd}: RMSE by that of {method}"
            even = crowd in (*RECORDED, "alike")
            listed.append(informing(name, ratio, "x") if even else at_most(name, ratio, "x", 0.9))
        coverage = f"{crowd}: 95 % intervals that hold"
        listed.append(
            informing(coverage, default.coverage, "share")
            if crowd in RECORDED
            else at_least(coverage, default.coverage, "share", 0.9)
        )
    return listed


def _errors(method: str, crowd: MeasuredCrowd) -> Errors:
    fit = NUMERIC_METHODS[method](crowd.numbers)
    known = ~np.isnan(crowd.truth)
    error = (fit.estimate - crowd.truth)[known]
    held = ((fit.lower <= crowd.truth) & (crowd.truth <= fit.upper))[known]
    return Errors(
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt((error**2).mean())),
        coverage=float(held.mean()),
    )


def _mean(errors: Sequence[Errors]) -> Errors:
    return Errors(
        mae=float(np.mean([each.mae for each in errors])),
        rmse=float(np.mean([each.rmse for each in errors])),
        coverage=float(np.mean([each.coverage for each in errors])),
    )


def _table(found: Found) -> Table:
    table = Table(title="MAE / RMSE, 95 % intervals that hold", title_justify="left")
    table.add_column("method")
    for crowd in found:
        table.add_column(crowd, justify="right")
    for method in NUMERIC_METHODS:
        cells = [methods[method] for methods in found.values()]
        table.add_row(
            method, *(f"{each.mae:.2f} / {each.rmse:.2f}, {each.coverage:.0%}" for each in cells)
        )
    return table


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    folder = os.environ.get("MUSTER_DATA")
    parser.add_argument("--data", type=Path, default=folder, required=folder is None)
    asked, console = parser.parse_args(), Console(width=160)
    found = _found(asked.data)
    console.print(_table(found))
    present("numeric", _figures(found), console)


if __name__ == "__main__":
    main()
