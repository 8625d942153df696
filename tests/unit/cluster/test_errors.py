"""The error tree: drawn as it is, and fit to travel between processes."""

import inspect
import pickle
import re
from collections.abc import Iterator
from typing import get_type_hints

import pytest

from cluster import errors, replica_errors, storage_errors, tenant_errors, upload_errors
from cluster.errors import MusterError

MODULES = {
    module.__name__
    for module in (errors, replica_errors, storage_errors, tenant_errors, upload_errors)
}

SAMPLES: dict[object, object] = {
    str: "thing",
    int: 7,
    float: 0.5,
    int | None: 3,
    str | None: "field",
    tuple[str, ...]: ("one", "two"),
}


def classes(root: type[MusterError], depth: int = 0) -> Iterator[tuple[int, type[MusterError]]]:
    yield depth, root
    for found in root.__subclasses__():
        yield from classes(found, depth + 1)


LEAVES = [found for _, found in classes(MusterError) if not found.__subclasses__()]


def sample(leaf: type[MusterError]) -> MusterError:
    hints = get_type_hints(leaf.__init__)
    values = [
        SAMPLES[getattr(hints[name], "__supertype__", hints[name])]
        for name in inspect.signature(leaf).parameters
    ]
    return leaf(*values)


def drawn() -> list[tuple[int, str]]:
    """Return depth and name of every line of the tree in the docstring."""
    lines = re.findall(
        r"^    ((?:│   |    )*)(├── |└── )?(\w+)(?: {2,}|$)", errors.__doc__ or "", re.MULTILINE
    )
    return [(len(bars) // 4 + bool(branch), name) for bars, branch, name in lines]


def parents(tree: list[tuple[int, str]]) -> dict[str, str | None]:
    path: list[str] = []
    found: dict[str, str | None] = {}
    for depth, name in tree:
        found[name] = path[depth - 1] if depth else None
        path[depth:] = [name]
    return found


def test_the_drawing_shows_every_error_under_its_parent() -> None:
    real = {
        found.__name__: found.__bases__[0].__name__ if depth else None
        for depth, found in classes(MusterError)
        if found.__module__ in MODULES
    }

    assert parents(drawn()) == real
    assert len(drawn()) == len(real)


def test_no_error_is_defined_elsewhere() -> None:
    assert {found.__module__ for _, found in classes(MusterError)} == MODULES


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_speaks_and_keeps_what_it_was_given(leaf: type[MusterError]) -> None:
    error = sample(leaf)

    assert str(error)
    assert inspect.getdoc(leaf)
    for name in inspect.signature(leaf).parameters:
        assert name in vars(error)


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_survives_the_way_to_another_process(leaf: type[MusterError]) -> None:
    error = sample(leaf)

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 our own bytes

    assert (type(copy), str(copy), vars(copy)) == (leaf, str(error), vars(error))
