"""What every test folder shares."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

FAILURE_CHARS_MAX = 4_000
"""How much of a failed test is said again at the end of all lanes."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Run from one seed where none was asked for: what a change turns red, the change broke.

    Single examples have no deadline: on a busy machine it would fail them for its neighbours.
    """
    settings.register_profile("muster", deadline=None)
    settings.load_profile("muster")
    if config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = "0"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Append what failed to the file that `scripts/lanes.py` prints once all lanes have run."""
    path = os.environ.get("TEST_FAILURES_IN")
    stats = terminalreporter.stats
    failed = [*stats.get("failed", ()), *stats.get("error", ())]
    if path and failed:
        with Path(path).open("a") as file:
            file.writelines(
                f"── {each.nodeid} ──\n{each.longreprtext[-FAILURE_CHARS_MAX:]}\n\n"
                for each in failed
            )


def pytest_report_header(config: pytest.Config) -> str:
    """Say which random choices were made, and so how to make others."""
    return f"random choices: --hypothesis-seed={config.getoption('--hypothesis-seed')}"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of the shared data sets that `MUSTER_DATA` names."""
    folder = os.environ.get("MUSTER_DATA")
    if not folder:
        pytest.skip("set MUSTER_DATA to the folder of the shared data sets to run this test")
    return Path(folder)
