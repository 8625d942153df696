"""The `muster` command as a whole: it starts fast, and its list of commands is true."""

import inspect
import resource
import subprocess
import sys
from importlib import import_module

import pytest
from typer.testing import CliRunner

from serve_apps.cli.main import COMMANDS, GROUPS, app

ALL: dict[tuple[str, ...], tuple[str, str]] = {
    **{(name,): command for name, command in COMMANDS.items()},
    **{
        (group, name): command
        for group, (_, commands) in GROUPS.items()
        for name, command in commands.items()
    },
}
HEAVY = ("alembic", "numpy", "pyarrow", "pydantic", "ray", "sqlalchemy", "torch", "transformers")


def test_help_lists_every_command_with_what_it_does() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout
    for name, (_, about) in COMMANDS.items():
        assert f" {name} " in shown
        assert about in shown
    for name, (about, _) in GROUPS.items():
        assert f" {name} " in shown
        assert about in shown


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_a_command_is_where_it_should_be_and_says_what_the_list_says(path: tuple[str, ...]) -> None:
    place, about = ALL[path]
    module, _, function = place.partition(":")
    command = getattr(import_module(f"serve_apps.cli.{module}"), function)
    assert (inspect.getdoc(command) or "").splitlines()[0] == about
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert f"Usage: root {' '.join(path)}" in shown.stdout


def test_help_imports_nothing_heavy_and_costs_little() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from serve_apps.cli.main import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        f"sys.stdout.write(' '.join(sorted(set(sys.modules) & set({HEAVY!r}))))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 2.0


def test_a_command_of_a_service_needs_no_part_of_one() -> None:
    code = (
        "import sys, serve_apps.cli.jobs, serve_apps.cli.submit, serve_apps.cli.workers\n"
        f"sys.stdout.write(' '.join(sorted(set(sys.modules) & set({HEAVY!r}))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"numpy", "pydantic"}


def test_an_unknown_command_is_wrong_use() -> None:
    result = CliRunner().invoke(app, ["sumbit"])
    assert result.exit_code == 2
    assert "submit" in result.stderr
