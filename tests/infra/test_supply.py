"""What is installed is what was looked at: every wheel by its hash, but torch's.

`constraints.txt` says the versions, `make lock` writes the hashes, `make sbom` the list for others.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS: Mapping[str, Sequence[str]] = {
    "service": ("pii", "postgres", "traces"),
    "demo": ("demo",),
    "dev": ("demo", "dev"),
}
"""Each lock, and the extras that are installed by it."""

UNLOCKED = {"torch", "pip"}
"""Each build of torch has a hash of its own; pip comes with Python."""

FIXED: Mapping[str, str] = {
    "h11": "0.16",  # CVE-2025-43859: smuggled requests
    "jinja2": "3.1.6",  # CVE-2025-27516: out of the sandbox
    "pillow": "12.2",  # CVE-2026-40192: a bomb in FITS
    "pyarrow": "14.0.1",  # CVE-2023-47248: code in a file
    "python-multipart": "0.0.18",  # CVE-2024-53981: endless boundaries
    "ray": "2.52",  # CVE-2025-62593: code by a page in a browser
    "requests": "2.32.4",  # CVE-2024-47081: credentials for another host
    "starlette": "0.49.1",  # CVE-2025-62727: ranges in quadratic time
    "torch": "2.6",  # CVE-2025-32434: code in weights
    "werkzeug": "3.0.6",  # CVE-2024-49767: endless forms
}
"""The first version without a hole that was found in it."""

Locked = Mapping[str, tuple[Version, Sequence[str]]]


@pytest.fixture(scope="module")
def pins() -> Mapping[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_its_extras_need_and_what_that_needs(name: str) -> None:
    assert {each for each, _ in needed("muster", LOCKS[name])} - UNLOCKED - set(
        locked(name)
    ) == set()
    assert "setuptools" in locked(name), "which builds Muster itself"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_the_pinned_versions_and_their_hashes(
    name: str, pins: Mapping[str, Version]
) -> None:
    found = locked(name)
    assert len(found) > 100
    assert {each: version for each, (version, _) in found.items()} == {
        each: pins.get(each) for each in found
    }
    assert [each for each, (_, hashes) in found.items() if not hashes] == []


def test_all_that_is_pinned_is_locked_but_torch(pins: Mapping[str, Version]) -> None:
    assert set(pins) - {each for name in LOCKS for each in locked(name)} == {"torch"}


@pytest.mark.parametrize(
    "path", ["scripts/setup.sh", "infra/images/cpu.Dockerfile", "infra/images/cuda.Dockerfile"]
)
def test_all_but_torch_is_installed_by_its_hash(path: str) -> None:
    text = (ROOT / path).read_text()
    assert re.search(r"install --no-deps --require-hashes --only-binary :all: -r ", text)
    assert "--no-build-isolation" in text


def test_no_pin_goes_back_behind_a_known_hole(pins: Mapping[str, Version]) -> None:
    assert {name: pins[name] for name, fixed in FIXED.items() if pins[name] < Version(fixed)} == {}


def test_the_list_for_others_names_all_that_a_deployment_installs(tmp_path: Path) -> None:
    # Given what `make sbom` hands on
    torch = [line for line in (ROOT / "constraints.txt").read_text().split() if "torch==" in line]
    said = "\n".join([*torch, (ROOT / "locks" / "service.txt").read_text()])
    # When it is written in CycloneDX
    out = tmp_path / "sbom.json"
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", "-o", str(out)]
    subprocess.run([*command, "-"], check=True, input=said, text=True)
    listed = {canonicalize_name(each["name"]) for each in json.loads(out.read_text())["components"]}
    # Then nothing is left out
    assert listed == {"torch", *locked("service")}


def locked(name: str) -> Locked:
    """Return version and hashes of all that is in a lock."""
    text = (ROOT / "locks" / f"{name}.txt").read_text()
    entries = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)(.*(?:\n    .*)*)", text, re.MULTILINE)
    return {
        canonicalize_name(each): (Version(version), re.findall(r"sha256:[0-9a-f]{64}", rest))
        for each, version, rest in entries
    }


def needed(name: str, extras: Sequence[str]) -> set[tuple[str, str]]:
    """Return all that a distribution needs here and what that needs, with the extras of each."""
    found: set[tuple[str, str]] = set()
    waiting = [(name, extra) for extra in ("", *extras)]
    while waiting:
        for requirement in requirements(*waiting.pop()):
            for extra in ("", *requirement.extras):
                one = (canonicalize_name(requirement.name), extra)
                if one not in found:
                    found.add(one)
                    waiting.append(one)
    return found


def requirements(name: str, extra: str) -> Iterator[Requirement]:
    """Yield what a distribution needs here for an extra, or for none."""
    for line in _lines(name):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def _lines(name: str) -> Sequence[str]:
    if name != "muster":
        return distribution(name).requires or ()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].items()
    more = [f"{line} ; extra == '{extra}'" for extra, lines in extras for line in lines]
    return [*project["dependencies"], *more]
