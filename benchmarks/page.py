"""The page of measurements, `docs/benchmarks.md`: a section for each benchmark, its latest run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HEAD = """# What was measured

`make bench` runs every benchmark, hours in all, and writes their sections of this page;
`make bench BENCH=truth` writes one. Benchmarks that need recorded sets are left out where
`MUSTER_DATA` names no folder of them. Every side of a comparison runs in the same run; goals were
set beforehand. *No* means that one was missed; what bounds it is said in the page of the subject.
A commit that is not in the history was one before it was rebased.
"""

_SECTION = re.compile(r"^## ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a benchmark: the object it printed last, its date (ISO) and the code's commit."""

    found: Mapping[str, Any]
    date: str
    commit: str


def updated(page: str, runs: Mapping[str, Run]) -> str:
    """Return the page with the sections of some benchmarks written anew, in order of name."""
    sections = {text.split("\n", 1)[0].strip(): text for text in _SECTION.split(page)[1:]}
    sections |= {name: _section(name, run) for name, run in runs.items()}
    return HEAD + "".join(f"\n## {sections[name].strip()}\n" for name in sorted(sections))


def _section(name: str, run: Run) -> str:
    machine = run.found["machine"]
    where = (
        f"`python -m benchmarks.{name}`, {run.date}, commit {run.commit}; {machine['cpus']} CPUs, "
        f"load {machine['load']:g}, {machine['memory_gib']:g} GiB, Python {machine['python']}, "
        f"{machine['system'].split('-')[0]}."
    )
    head = (name, "", where, "", "| figure | value | unit | goal | met |", "|---|---|---|---|---|")
    return "\n".join((*head, *map(_row, run.found["figures"])))


def _row(figure: Mapping[str, Any]) -> str:
    met = {True: "yes", False: "**no**", None: ""}[figure["met"]]
    cells = (figure["name"], f"{figure['value']:,}", figure["unit"], figure["goal"] or "", met)
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
