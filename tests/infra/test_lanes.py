"""The lane runner: in order, timed, and never green by accident."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.lanes import (
    CHECK,
    FAILURES_IN,
    TEST,
    Lane,
    Run,
    every_lane,
    run_lane,
    run_lanes,
    table,
)

ROOT = Path(__file__).resolve().parents[2]
PASS, FAIL = (sys.executable, "-c", ""), (sys.executable, "-c", "raise SystemExit(3)")


def test_lanes_stop_at_the_first_that_fails_and_in_ci_tell_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lanes = [
        Lane(name="good", commands=(PASS, PASS)),
        Lane(name="bad", commands=(FAIL, PASS)),
        Lane(name="last", commands=(PASS,)),
    ]
    monkeypatch.delenv("CI", raising=False)
    stopped = [("good", "passed"), ("bad", "FAILED")]
    assert [(run.lane, run.outcome) for run in run_lanes(lanes)] == stopped
    monkeypatch.setenv("CI", "true")
    assert [(run.lane, run.outcome) for run in run_lanes(lanes)] == [*stopped, ("last", "passed")]


def test_what_failed_is_said_again_at_the_end(tmp_path: Path) -> None:
    # Given a test that fails, run as a lane runs it
    (tmp_path / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert 'this' == 'that'\n")
    told = tmp_path / "failures.txt"
    environment = {**os.environ, FAILURES_IN: str(told)}
    # When it has run
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", str(tmp_path)]
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    # Then the file that the runner prints last has its name and why
    assert "test_it.py::test_it" in told.read_text()
    assert "assert 'this' == 'that'" in told.read_text()


def test_what_a_machine_lacks_is_skipped_at_home_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lane = Lane(name="browser", commands=(PASS,), lacks=lambda: "no browser")
    monkeypatch.delenv("CI", raising=False)
    assert run_lane(lane) == "skipped"
    monkeypatch.setenv("CI", "true")
    assert run_lane(lane) == "FAILED"


def test_every_folder_of_tests_is_in_a_lane() -> None:
    named = {lane.name: " ".join(map(" ".join, lane.commands)) for lane in every_lane()}
    tested = " ".join(named[name] for name in TEST)
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
    assert folders
    assert {folder for folder in folders if f"tests/{folder}" not in tested} == set()
    assert set(CHECK) <= set(named)


def test_the_table_adds_up() -> None:
    runs = (
        Run(lane="lint", outcome="passed", seconds=1.25),
        Run(lane="types", outcome="FAILED", seconds=2.5),
    )
    assert table(runs).splitlines() == [
        "lint         passed       1.2 s",
        "types        FAILED       2.5 s",
        "total                     3.8 s",
    ]


def test_an_unknown_lane_is_refused() -> None:
    command = [sys.executable, "scripts/lanes.py", "everything"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "everything" in ended.stderr
