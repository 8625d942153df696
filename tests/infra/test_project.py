"""The project's own plumbing: what it depends on, what it can be told to do, its licence."""

import os
import re
import subprocess
import sysconfig
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
VERBS = (
    "audit",
    "bench",
    "check",
    "clean",
    "demo",
    "format",
    "fuzz",
    "help",
    "lock",
    "openapi",
    "sbom",
    "setup",
    "sim",
    "test",
)
TOOLS_OF_AN_ENVIRONMENT = {"muster", "pip", "setuptools", "wheel"}


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


@pytest.fixture(scope="module")
def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def test_every_dependency_allows_the_version_it_is_pinned_to(
    project: dict[str, object], pins: dict[str, Version]
) -> None:
    named = requirements(project)
    assert named
    for requirement in named:
        pin = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin, prereleases=True), requirement


def test_everything_installed_is_pinned(pins: dict[str, Version]) -> None:
    installed = {
        canonicalize_name(found.metadata["Name"]): Version(found.version)
        for found in distributions(path=[sysconfig.get_path("purelib")])
    }
    different = {
        name: version
        for name, version in installed.items()
        if name not in TOOLS_OF_AN_ENVIRONMENT and pins.get(name) != Version(version.public)
    }
    assert different == {}


def test_every_version_is_pinned_once_and_in_order() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    names = [line.split("==")[0].lower() for line in lines if line and not line.startswith("#")]
    assert names == sorted(set(names))


def test_the_command_and_the_licence(project: dict[str, object]) -> None:
    assert project["scripts"] == {"muster": "serve_apps.cli.main:app"}
    assert project["license"] == "Apache-2.0"
    licence = (ROOT / "LICENSE").read_text().split()
    assert (
        " ".join(licence[:7])
        == "Apache License Version 2.0, January 2004 https://www.apache.org/licenses/"
    )


def test_the_version_is_in_the_changelog(project: dict[str, object]) -> None:
    assert f"## [{project['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_make_lists_every_verb() -> None:
    listed = make().splitlines()
    assert sorted(line.split()[1] for line in listed) == sorted(VERBS)


def test_a_verb_sets_up_what_it_needs_first(tmp_path: Path) -> None:
    venv = f"VENV={tmp_path / 'fresh'}"
    for verb, extras in {"demo": "demo", "test": "demo,dev", "setup": "demo,dev"}.items():
        first, *_, last = make("--dry-run", verb, venv).splitlines()
        assert first.endswith(f"{tmp_path / 'fresh'} {extras}")
        assert verb == "setup" or verb in last


def test_the_demo_takes_a_folder() -> None:
    assert "--data" not in make("--dry-run", "demo")
    assert make("--dry-run", "demo", "DATA=a folder").rstrip().endswith('--data "a folder"')


@pytest.mark.parametrize(
    "script", [".ci/run", "scripts/setup.sh", "scripts/apt.sh", "scripts/lock.sh"]
)
def test_scripts_can_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    assert subprocess.run(["bash", "-n", ROOT / script], check=False).returncode == 0


def test_ci_runs_every_lane() -> None:
    assert re.search(r"^exec make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


def requirements(project: dict[str, object]) -> list[Requirement]:
    """Return what the project and its extras depend on directly."""
    lines, extras = project["dependencies"], project["optional-dependencies"]
    assert isinstance(lines, list)
    assert isinstance(extras, dict)
    return [
        Requirement(line) for line in [*lines, *(line for more in extras.values() for line in more)]
    ]


def make(*arguments: str) -> str:
    """Return what make says."""
    command = ["make", "--no-print-directory", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
