"""The project's own files, as git knows them, and as syntax trees."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("allocation", "cluster", "ingest", "serve_apps", "training")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Source:
    """A Python file: its path below the project's root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """The name it is imported by."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def functions(self) -> Iterator[Function]:
        """Every function and method in it, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node


def source(text: str, path: str = "allocation/example.py") -> Source:
    """Return a file made up by a test."""
    return Source(path, text, ast.parse(text))


@cache
def files() -> tuple[str, ...]:
    """Return the path of every file that is committed or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return tuple(sorted({path for path in listed.split("\0") if (ROOT / path).is_file()}))


@cache
def sources() -> tuple[Source, ...]:
    """Return every Python file."""
    return tuple(
        source((ROOT / path).read_text("utf-8"), path) for path in files() if path.endswith(".py")
    )


@cache
def product() -> tuple[Source, ...]:
    """Return the Python files of the product's packages; migrations are scripts of Alembic's."""
    return tuple(
        found
        for found in sources()
        if found.path.split("/")[0] in PRODUCT and "/migrations/" not in found.path
    )


def texts() -> Iterator[tuple[str, str]]:
    """Yield path and content of every text file."""
    for path in files():
        content = (ROOT / path).read_bytes()
        if b"\0" not in content:
            yield path, content.decode("utf-8")


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for a chain of attributes; what is not a name in it is a question mark."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"
