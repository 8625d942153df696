"""The import contracts of pyproject.toml hold, and each finds the breach it is there for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.tree import PRODUCT, ROOT


def test_every_contract_is_kept() -> None:
    report = lint(ROOT)
    assert ", 0 broken." in report, report


@pytest.mark.parametrize(
    ("contract", "path", "imported"),
    [
        ("Only shells import Ray", "allocation/policy.py", "ray"),
        ("Only the SQL stores speak SQL", "serve_apps/export.py", "sqlalchemy"),
        ("Only models and their training need torch", "ingest/images.py", "torch"),
        ("The core does no IO and knows neither time nor chance", "allocation/leases.py", "time"),
        (
            "Packages point one way; the three middle ones never meet",
            "training/split.py",
            "ingest.dedupe",
        ),
        (
            "cluster: values at the bottom, adapters at the top",
            "cluster/domain/ids.py",
            "cluster.settings",
        ),
        (
            "allocation: shells around a service around a pure core",
            "allocation/router.py",
            "allocation.service",
        ),
        ("The demo is a client like any other", "examples/demo/judge.py", "cluster.stores.sql"),
        ("No cycles anywhere", "allocation/terms.py", "allocation.state"),
    ],
)
def test_a_contract_names_the_import_that_breaks_it(
    copied: Path, contract: str, path: str, imported: str
) -> None:
    file = copied / path
    before = file.read_text("utf-8")
    assert f"{contract} KEPT" in lint(copied)

    file.write_text(f"{before}\nimport {imported}\n", "utf-8")

    report = lint(copied)
    assert f"{contract} BROKEN" in report, report
    broken = report.partition("Broken contracts")[2]
    assert path.removesuffix(".py").replace("/", ".") in broken


def test_a_module_without_a_layer_breaks_its_contract(copied: Path) -> None:
    (copied / "ingest" / "newcomer.py").touch()
    assert "- ingest.newcomer\n" in lint(copied)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of everything that import contracts are about."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in (*PRODUCT, "examples"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    return tmp_path


def lint(folder: Path) -> str:
    """Return what `lint-imports` reports on the project in a folder."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 1), ended.stderr
    return ended.stdout
