"""The documentation says what is so: files, tests, commands, keys and settings it names exist."""

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from scripts import metrics_table
from scripts.settings_table import PAGE, table, with_table
from serve_apps.cli import aggregate, backtest
from serve_apps.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("infra/**/*.md")])
FOLDERS = (
    "allocation|benchmarks|cluster|docs|examples|infra|ingest|scripts|serve_apps|tests|training"
)

PATH = re.compile(rf"`((?:{FOLDERS})/[\w./*-]*)(?:::(\w+))?`")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^]]*\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
COMMAND = re.compile(
    r"(?:^|`)(?:\$ )?muster ([a-z]+)"
    r"(?: (list|show|register|versions|live|issue|revoke|add|rotate|enable|ping|remove|verify))?\b",
    re.MULTILINE,
)


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_every_path_exists(page: Path) -> None:
    missing = [path for path, _ in PATH.findall(page.read_text()) if not any(ROOT.glob(path))]
    assert missing == []


def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text()):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def test_every_command_exists(page: Path) -> None:
    muster = get_command(app)
    assert isinstance(muster, TyperGroup)
    for name, below in COMMAND.findall(page.read_text()):
        found = muster.commands.get(name)
        assert found is not None, name
        assert not below or not isinstance(found, TyperGroup) or below in found.commands, below


def test_every_invariant_is_held_by_a_test() -> None:
    section = (ROOT / "ARCHITECTURE.md").read_text().partition("## Invariants")[2]
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", section.partition("\n## ")[0], re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    for number, row in rows:
        named = PATH.findall(row)
        assert named, f"invariant {number} names no test"
        for path, test in named:
            assert test in functions_in(ROOT / path), f"invariant {number}: {path}::{test}"


def test_every_setting_is_documented_as_it_is() -> None:
    documented = PAGE.read_text()
    assert with_table(documented, table()) == documented, "run python -m scripts.settings_table"


def test_every_metric_is_documented_as_it_is() -> None:
    documented = metrics_table.PAGE.read_text()
    assert metrics_table.with_table(documented) == documented, "run python -m scripts.metrics_table"


@pytest.mark.parametrize(
    ("column", "summary"),
    [(1, aggregate.Summary), (2, backtest.Summary)],
    ids=["aggregate", "backtest"],
)
def test_the_keys_of_json_are_those_of_the_readme(column: int, summary: type) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "README.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    named = [key for row in rows if row[column] for key in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(field.name for field in fields(summary))


def test_every_module_that_can_be_run_is_where_the_pages_say(page: Path) -> None:
    for name in re.findall(
        r"python -m ((?:benchmarks|examples|scripts|tests)[\w.]*)", page.read_text()
    ):
        path = ROOT / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name


def test_every_example_could_be_run(page: Path) -> None:
    for language, code in BLOCK.findall(page.read_text()):
        if language == "sh":
            checked = subprocess.run(["bash", "-n", "-c", code], capture_output=True, check=False)
            assert checked.returncode == 0, checked.stderr.decode()
        elif language == "python":
            for node in ast.parse(code).body:
                if isinstance(node, ast.ImportFrom) and node.module:
                    module = import_module(node.module)
                    assert all(hasattr(module, alias.name) for alias in node.names), node.module


def anchors(page: Path) -> Iterator[str]:
    """Yield the anchors of a page's headings, as GitHub makes them."""
    for title in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def functions_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
