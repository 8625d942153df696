"""Runs test lanes in order, times each, and says again at the end what failed in them.

    python scripts/lanes.py test         every lane, as CI does
    python scripts/lanes.py check        the fast ones, for every change
    python scripts/lanes.py types ray    some by name

A lane that needs something this machine lacks is skipped with a line that says so; where `CI` is
set in the environment it fails instead. There, too, the lanes after one that failed run all the
same, so that one run tells everything; elsewhere the first that fails is the last.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
CPUS_MAX = 8
FAILURES_IN = "TEST_FAILURES_IN"
"""Names the file to which tests/conftest.py appends each test that failed."""

FAILURES_CHARS_MAX = 20_000
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")

Command = tuple[str, ...]
Outcome = Literal["passed", "FAILED", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One kind of test: its commands, and what this machine lacks for it, if anything."""

    name: str
    commands: tuple[Command, ...]
    lacks: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a lane went."""

    lane: str
    outcome: Outcome
    seconds: float


def main() -> int:
    """Run the lanes that were asked for; 0 where none failed."""
    known = {lane.name: lane for lane in every_lane()}
    sets = {"test": TEST, "check": CHECK}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="+", choices=[*sets, *known], metavar="LANE")
    chosen = [lane for name in parser.parse_args().names for lane in sets.get(name, (name,))]
    with tempfile.NamedTemporaryFile("r", suffix=".txt", errors="replace") as failures:
        os.environ[FAILURES_IN] = failures.name
        runs = tuple(run_lanes(known[name] for name in chosen))
        print("\n" + failures.read(FAILURES_CHARS_MAX) + table(runs), flush=True)
    return 1 if any(run.outcome == "FAILED" for run in runs) else 0


TEST = (
    "lint",
    "types",
    "contracts",
    "unit",
    "conformance",
    "simulation",
    "ray",
    "browser",
    "infra",
)
CHECK = ("lint", "types", "contracts", "quick")


def every_lane() -> tuple[Lane, ...]:
    """Return every lane there is."""
    python = (sys.executable, "-m")
    pytest = (*python, "pytest")
    workers = str(min(len(os.sched_getaffinity(0)), CPUS_MAX))
    parallel = (*pytest, "-n", workers)
    return (
        Lane(
            name="lint",
            commands=(
                (*python, "ruff", "check", "."),
                (*python, "ruff", "format", "--check", "--quiet", "."),
            ),
        ),
        Lane(name="types", commands=((*python, "mypy", "--num-workers", workers, "."),)),
        Lane(name="contracts", commands=((_beside_python("lint-imports"),),)),
        Lane(name="unit", commands=((*parallel, "tests/unit", "tests/tidy"),)),
        Lane(name="conformance", commands=((*parallel, "tests/conformance"),)),
        Lane(name="simulation", commands=((*parallel, "tests/simulation", "tests/fuzz"),)),
        # A process each: Serve's threads outlive its cluster, and would start the next one.
        Lane(name="ray", commands=tuple((*pytest, name) for name in _files("tests/ray"))),
        Lane(name="browser", commands=((*pytest, "tests/browser"),), lacks=lacks_chromium),
        Lane(name="infra", commands=((*pytest, "tests/infra"),)),
        Lane(
            name="quick",
            commands=(
                (*parallel, "tests/unit", "tests/tidy", "tests/conformance"),
                (*python, "tests.simulation", "--count", "20"),
            ),
        ),
    )


def run_lanes(lanes: Iterable[Lane]) -> Iterator[Run]:
    """Run lanes one after the other and yield how each went; without CI, up to one that fails."""
    for lane in lanes:
        print(f"\n── {lane.name} ──", flush=True)
        started_at = monotonic()
        outcome = run_lane(lane)
        yield Run(lane=lane.name, outcome=outcome, seconds=monotonic() - started_at)
        if outcome == "FAILED" and not os.environ.get("CI"):
            return


def run_lane(lane: Lane) -> Outcome:
    """Run the commands of a lane, each of them whatever became of those before."""
    lack = lane.lacks()
    if lack is not None:
        print(lack, flush=True)
        return "FAILED" if os.environ.get("CI") else "skipped"
    # Tests run side by side; a thread pool in each would only make them wait for one another.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    codes = [
        subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        for command in lane.commands
    ]
    return "FAILED" if any(codes) else "passed"


def table(runs: Sequence[Run]) -> str:
    """Return a line a lane, and their sum."""
    lines = [f"{run.lane:<12} {run.outcome:<8} {run.seconds:>7.1f} s" for run in runs]
    total = sum(run.seconds for run in runs)
    return "\n".join([*lines, f"{'total':<21} {total:>7.1f} s"])


def lacks_chromium() -> str | None:
    """Return why the browser lane cannot run, or None where it can."""
    if any(map(shutil.which, CHROMIUM_NAMES)):
        return None
    return "there is no Chromium on this machine: scripts/apt.sh installs one"


def _files(folder: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / folder).glob("test_*.py"))


def _beside_python(command: str) -> str:
    return str(Path(sys.executable).with_name(command))


if __name__ == "__main__":
    sys.exit(main())
