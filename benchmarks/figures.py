"""What a benchmark found, as a table for people and one JSON object for programs."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number; `met` tells whether it reaches `goal`, both None where it only informs."""

    name: str
    value: float
    unit: str
    goal: str | None = None
    met: bool | None = None


def informing(name: str, value: float, unit: str) -> Figure:
    """Return a figure without a goal."""
    return Figure(name=name, value=value, unit=unit)


def at_most(name: str, value: float, unit: str, limit: float) -> Figure:
    """Return a figure that must not be above a limit."""
    return Figure(name=name, value=value, unit=unit, goal=f"<= {limit:g}", met=value <= limit)


def exactly(name: str, value: float, unit: str, wanted: float) -> Figure:
    """Return a figure that must be one number."""
    return Figure(name=name, value=value, unit=unit, goal=f"= {wanted:g}", met=value == wanted)


def at_least(name: str, value: float, unit: str, limit: float) -> Figure:
    """Return a figure that must not be below a limit."""
    return Figure(name=name, value=value, unit=unit, goal=f">= {limit:g}", met=value >= limit)


def present(benchmark: str, figures: Sequence[Figure], console: Console) -> None:
    """Print the figures as a table, then everything as one JSON object on the last line."""
    table = Table(title=benchmark, title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("goal")
    table.add_column("met")
    for figure in figures:
        met = "" if figure.met is None else "yes" if figure.met else "[bold red]no[/]"
        value = f"{figure.value:,.3f}".rstrip("0").rstrip(".")
        table.add_row(figure.name, value, figure.unit, figure.goal or "", met)
    console.print(table)
    found = {
        "benchmark": benchmark,
        "machine": machine(),
        "figures": [_rounded(figure) for figure in figures],
    }
    print(json.dumps(found))


def machine() -> dict[str, Any]:
    """Return what the figures were taken on; `load` is the load average of the last 15 minutes."""
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[2], 2),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def _rounded(figure: Figure) -> dict[str, Any]:
    return {**asdict(figure), "value": round(figure.value, 4)}
