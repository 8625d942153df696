"""`python -m benchmarks [NAME ...]`: run benchmarks one after another and write their page."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.page import Run, updated

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


USAGE = 2
"""What a benchmark ends with that is not told all it needs."""


def main() -> None:
    """Run what the command line names; ends at the first benchmark that fails."""
    for name in sys.argv[1:]:
        found = _measured(name)
        if found is None:
            sys.stdout.write(f"{name} is left out: MUSTER_DATA names no folder of recorded sets\n")
            continue
        run = Run(found=found, date=f"{datetime.now(UTC):%Y-%m-%d}", commit=_commit())
        page = PAGE.read_text() if PAGE.exists() else ""
        PAGE.write_text(updated(page, {name: run}))


def _measured(name: str) -> dict[str, object] | None:
    """Run one benchmark, let its output through, and return its last line's object.

    None where it needs recorded sets and there are none.
    """
    command = (sys.executable, "-m", f"benchmarks.{name}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        last = ""
        for line in process.stdout or ():
            sys.stdout.write(line)
            last = line if line.strip() else last
    if process.returncode == USAGE and "MUSTER_DATA" not in os.environ:
        return None
    if process.returncode:
        sys.exit(process.returncode)
    found: dict[str, object] = json.loads(last)
    return found


def _commit() -> str:
    command = ("git", "-C", str(PAGE.parents[1]), "describe", "--always", "--dirty")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
