"""The Terraform modules: each complete, described and tested, and refused by nobody who looks.

`TERRAFORM_OFFLINE` names a tool that checks modules against the providers' schemas where no
registry can be reached (`TOOL check DIR`), unless one of that name is on the path.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TERRAFORM = ROOT / "infra" / "terraform"
MODULES = sorted((TERRAFORM / "modules").iterdir())
EXAMPLES = sorted((TERRAFORM / "examples").iterdir())
OFFLINE = os.environ.get("TERRAFORM_OFFLINE") or shutil.which("terraform-offline")

BLOCK = re.compile(r'^(\w+)((?: "[^"]*")*) \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
MESSAGE = re.compile(r"error_message = \"(.*)\"$", re.MULTILINE)
EXACT_ENOUGH = re.compile(r"version = \"~> \d+\.\d+\"$", re.MULTILINE)


@pytest.fixture(params=[*MODULES, *EXAMPLES], ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture(params=MODULES, ids=lambda folder: folder.name)
def module(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_a_folder_has_all_that_a_reader_looks_for(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert {"README.md", "main.tf", "variables.tf", "outputs.tf", "versions.tf"} <= names
    assert (folder / "tests" / f"{folder.name}.tftest.hcl").exists()
    assert (folder / "README.md").read_text().startswith(f"# {folder.name}\n")


def test_every_variable_and_output_says_what_it_is(folder: Path) -> None:
    for name, body in blocks(folder, "variable"):
        assert re.search(r"^  type +=", body, re.MULTILINE), name
        assert re.search(r"^  description +=", body, re.MULTILINE), name
    for name, body in blocks(folder, "output"):
        assert re.search(r"^  description +=", body, re.MULTILINE), name


def test_a_module_can_be_used_by_anybody(module: Path) -> None:
    assert not list(blocks(module, "provider"))
    assert "backend" not in (module / "versions.tf").read_text()


def test_providers_are_pinned_and_modules_are_our_own(folder: Path) -> None:
    providers = re.findall(r"source +=", (folder / "versions.tf").read_text())
    assert len(EXACT_ENOUGH.findall((folder / "versions.tf").read_text())) == len(providers) > 0
    for name, body in blocks(folder, "module"):
        assert re.search(r'^  source += "\.\./\.\./modules/[\w-]+"$', body, re.MULTILINE), name


def test_every_bad_value_is_refused_by_a_test_with_a_message_of_its_own(folder: Path) -> None:
    (file,) = (folder / "tests").glob("*.tftest.hcl")
    refused = re.findall(r"expect_failures = \[var\.(\w+)\]", file.read_text())
    messages = []
    for name, body in blocks(folder, "variable"):
        found = MESSAGE.findall(body)
        assert refused.count(name) >= len(found), name
        assert all(message.startswith(name) for message in found), name
        messages += found
    assert len(set(messages)) == len(messages)


def test_the_examples_use_every_module() -> None:
    used = {
        name
        for example in EXAMPLES
        for _, body in blocks(example, "module")
        for name in re.findall(r"modules/([\w-]+)", body)
    }
    assert used == {module.name for module in MODULES}


@pytest.mark.skipif(shutil.which("terraform") is None, reason="there is no terraform")
def test_files_are_in_terraforms_own_format() -> None:
    command = ["terraform", "fmt", "-check", "-recursive", str(TERRAFORM)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(1_800)
@pytest.mark.skipif(
    OFFLINE is None, reason="there is no terraform-offline, and TERRAFORM_OFFLINE names none"
)
def test_modules_are_valid_by_the_providers_schemas_and_pass_their_tests() -> None:
    done = subprocess.run(
        [str(OFFLINE), "check", str(TERRAFORM)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("checkov") is None, reason="there is no checkov")
def test_checkov_finds_nothing_that_is_not_explained() -> None:
    frameworks = ("terraform", "kubernetes", "kustomize", "dockerfile")
    command = ["checkov", "--quiet", "--compact", "--skip-download", "--directory", "infra"]
    done = subprocess.run(
        [*command, "--framework", *frameworks],
        cwd=ROOT,
        env={**os.environ, "HCL_PARSE_TIMEOUT_SEC": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    skips = [
        skip
        for path in (ROOT / "infra").rglob("*")
        if path.suffix in {".tf", ".Dockerfile", ".yaml"}
        for skip in re.findall(r"checkov:skip=.*", path.read_text())
    ]
    assert all(re.fullmatch(r"checkov:skip=\w+:\S.*", skip) for skip in skips)


def blocks(folder: Path, kind: str) -> list[tuple[str, str]]:
    """Return name and body of a folder's blocks of a kind, as `terraform fmt` writes them."""
    text = "\n".join(path.read_text() for path in sorted(folder.glob("*.tf")))
    found = [each for each in BLOCK.findall(text) if each[0] == kind]
    return [(labels.strip(' "'), body) for _, labels, body in found]
